/**
 * Say in what two images differ, down to the file.
 *
 *   ./bin/compare-images yesterday/debian-12-20261120.zfs.gz today/debian-12-20261121.zfs.gz
 *
 * Exits 0 when they are the same, 1 when they differ.
 */
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { compareImages } from '../lib/compare/compare-images.ts'
import { describe } from '../lib/compare/report.ts'

const command = {
  name: 'compare-images',
  summary: 'Say in what two images differ: files, file systems, boot code, partitions, streams.',
  words: ['A', 'B'],
  details: [
    'A and B are image files of any format, also of two (.zfs.gz, .zfs, .raw, .qcow2, .dd.gz), root tars (.tar.gz,',
    '.tgz), or the manifests beside them (.imgmanifest). They are only read; disks lie below $TMPDIR for a while.',
    'Files are listed of an ext4 root file system, read through FUSE, and of the EFI system partition.',
    'Exit status: 0 the same, 1 different, or (with a line "Error: ...") not to be compared.',
  ],
  options: {
    diff: { help: 'show what changed in short text files' },
    'ignore-times': { help: 'times, and bytes that follow from them, do not count' },
    all: { help: 'do not cut long lists' },
    json: { help: 'print all that differs as JSON' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    './bin/compare-images yesterday/debian-12-20261120.zfs.gz today/debian-12-20261121.zfs.gz',
    './bin/compare-images a.imgmanifest b.imgmanifest --ignore-times --diff',
    './bin/compare-images golden.qcow2 disk.raw --all',
    "./bin/compare-images a.dd.gz b.dd.gz --json | jq -r '.parts[].differences[].what'",
  ],
} as const

await main(command, async ({ options, words, scope }) => {
  const comparison = await compareImages(
    words as [string, string],
    {
      diff: options.diff,
      ignoreTimes: options['ignore-times'],
      install: options.install,
    },
    scope,
  )
  const { all, json } = options
  console.log(json ? JSON.stringify(comparison, undefined, 2) : describe(comparison, { all }))
  return comparison.same ? undefined : 1
})
