/**
 * Convert an image between its formats.
 *
 *   ./bin/convert-image debian-12-20260508.zfs.gz disk.raw
 *   ./bin/convert-image disk.raw my-image.zfs.gz
 *   ./bin/convert-image debian-12-20260508.zfs.gz debian-12.qcow2
 *
 * Prints the new file's path.
 */
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { diskOptions } from '../lib/disk/disk.ts'
import { checkFuse } from '../lib/disk/fuse-mount.ts'
import { ensureTools, TOOLS } from '../lib/host/tools.ts'
import { convertImage } from '../lib/image/convert.ts'
import { diskTarTools } from '../lib/image/disk-tar.ts'
import { formatOfContent, formatOfName } from '../lib/image/formats.ts'

const command = {
  name: 'convert-image',
  summary: 'Convert an image; the formats are told by the names and the content.',
  words: ['IN', 'OUT'],
  details: [
    '.zfs.gz, .zvol.gz   a gzipped send stream, as SmartOS imports it',
    '.zfs, .zvol         the same, not gzipped',
    '.raw, .img          the disk itself, sparse',
    '.dd.gz, .raw.gz     the disk gzipped, as MAAS deploys it (filetype ddgz)',
    '.qcow2              the disk as QEMU and libvirt have it, compressed; read in any variant',
    '.tar.gz, .tgz       the files of its root file system, as MAAS deploys them (filetype tgz); not an input',
    'A root tar is read from ext4 through FUSE; with it go the kernel and what else is in the disk.',
  ],
  options: {
    volblocksize: diskOptions.volblocksize,
    json: { help: 'print the result, with its digests, as JSON' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    './bin/convert-image debian-12-20260508.zfs.gz disk.raw',
    './bin/convert-image disk.raw my-image.zfs.gz',
    './bin/convert-image debian-12-20260508.zfs.gz debian-12.qcow2',
    './bin/convert-image custom-ubuntu-lvm.dd.gz disk.raw',
    './bin/convert-image golden.qcow2 golden.tar.gz',
  ],
} as const

await main(command, async ({ options, words }) => {
  const [input, output] = words as [string, string]
  const formats = [await formatOfContent(input), formatOfName(output)]
  const tar = formats[1] === 'tgz'
  await ensureTools(
    [...(formats.includes('qcow2') ? [TOOLS.qemuImg] : []), ...(tar ? diskTarTools : [])],
    { install: options.install },
  )
  if (tar) checkFuse()
  const converted = await step('Convert the image', (report) =>
    convertImage(input, output, options.volblocksize, report),
  )
  const { from, to, bytes, sha1, sha256 } = converted
  log.info(`${from} to ${to}, ${bytes} bytes`)
  if (sha256 !== undefined) log.info(`sha1 ${sha1}, sha256 ${sha256}`)
  console.log(options.json ? JSON.stringify(converted, undefined, 2) : converted.path)
})
