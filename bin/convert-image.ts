/**
 * Convert an image between its formats.
 *
 *   ./bin/convert-image debian-12-20260508.zfs.gz disk.raw
 *   ./bin/convert-image disk.raw my-image.zfs.gz
 *
 * Prints the new file's path.
 */
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { diskOptions } from '../lib/disk/disk.ts'
import { convertImage } from '../lib/image/convert.ts'
import { formatOfName } from '../lib/image/formats.ts'

const command = {
  name: 'convert-image',
  summary: 'Convert an image; the formats are told by the names and the content.',
  words: ['IN', 'OUT'],
  details: [
    '.zfs.gz, .zvol.gz   a gzipped send stream, as SmartOS imports it',
    '.zfs, .zvol         the same, not gzipped',
    '.raw, .img          the disk itself, sparse',
  ],
  options: {
    volblocksize: diskOptions.volblocksize,
    json: { help: 'print the result as JSON' },
    ...commonOptions,
  },
  examples: [
    './bin/convert-image debian-12-20260508.zfs.gz disk.raw',
    './bin/convert-image disk.raw my-image.zfs.gz',
  ],
} as const

await main(command, async ({ options, words }) => {
  const [input, output] = words as [string, string]
  formatOfName(output)
  const converted = await step('Convert the image', (report) =>
    convertImage(input, output, options.volblocksize, report),
  )
  log.info(`${converted.from} to ${converted.to}, ${converted.bytes} bytes`)
  console.log(options.json ? JSON.stringify(converted, undefined, 2) : converted.path)
})
