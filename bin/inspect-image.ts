/**
 * Check an image: does the file match its manifest, is every record of the stream whole?
 *
 *   ./bin/inspect-image debian-12-20260508.imgmanifest
 *   ./bin/inspect-image debian-12-20260508.zfs.gz
 */
import { BuildError } from '../lib/cli/errors.ts'
import { harmless } from '../lib/cli/harmless.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { type Inspection, inspectImage } from '../lib/image/inspect.ts'

const command = {
  name: 'inspect-image',
  summary: 'Check that an image file matches its manifest and that its stream is whole.',
  details: [
    'Bill of materials and provenance, where the manifest names them, have to match if they are beside it.',
  ],
  words: ['MANIFEST|STREAM'],
  options: {
    json: { help: 'print the result as JSON' },
    ...commonOptions,
  },
  examples: [
    './bin/inspect-image bits/debian-12/*/debian-12-20260508.imgmanifest',
    './bin/inspect-image my-image.zfs.gz --json',
  ],
} as const

function describe({ manifest, file, stream, records }: Inspection): string {
  const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`
  const counts = Object.entries(stream.records).map(([type, count]) => `${count} ${type}`)
  const rows: [string, string][] = [
    ...(manifest
      ? ([
          ['manifest', manifest.path],
          ['image', `${manifest.name} ${manifest.version} (${manifest.uuid})`],
        ] as [string, string][])
      : []),
    ['file', file.path],
    ['size', `${file.bytes} bytes (${mib(file.bytes)})`],
    ['sha1', file.sha1],
    ['sha256', file.sha256],
    ['snapshot', `${stream.name}, guid ${stream.guid}`],
    ['created', new Date(stream.createdAtSeconds * 1000).toISOString()],
    ['volume', `${mib(stream.volumeBytes)} in blocks of ${stream.volblocksize} bytes`],
    ['data', mib(stream.dataBytes)],
    ['records', counts.join(', ')],
    ['checksum', `${stream.checksum} (fletcher-4, every record verified)`],
    ...records.map(({ kind, name, state, says }): [string, string] => [
      kind,
      `${name} (${state}${state === 'matches' ? `: ${says}` : ''})`,
    ]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

await main(command, async ({ options, words }) => {
  const inspection = await step('Read the image', () => inspectImage(words[0]!))
  const json = () =>
    JSON.stringify(inspection, (_, value) => (typeof value === 'bigint' ? String(value) : value), 2)
  console.log(options.json ? json() : harmless(describe(inspection)))
  if (inspection.problems.length > 0) {
    throw new BuildError(`Image does not match its manifest: ${inspection.problems.join('; ')}`)
  }
})
