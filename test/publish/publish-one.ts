/** Publishes one file, as a command of its own: for tests of options, exit status and interruption. */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { main } from '../../lib/cli/main.ts'
import { commonOptions } from '../../lib/cli/options.ts'
import { step } from '../../lib/cli/progress.ts'
import { digestsOf } from './publication.ts'
import { formatOfName } from '../../lib/image/formats.ts'
import { libvirtOptions, libvirtPublisher } from '../../lib/publish/libvirt.ts'
import { maasOptions, maasPublisher } from '../../lib/publish/maas.ts'

const options = {
  to: { arg: 'WHERE', help: 'maas or libvirt', choices: ['maas', 'libvirt'], required: true },
  'dry-run': { help: 'say what would be done' },
  ...maasOptions,
  ...libvirtOptions,
  ...commonOptions,
} as const

await main(
  { name: 'publish-one', summary: 'Publish a file', words: ['FILE'], options, examples: [] },
  async ({ options, words, scope }) => {
    const [path = ''] = words
    const publisher = options.to === 'maas' ? maasPublisher(options) : libvirtPublisher(options)
    const { size: bytes } = await stat(path)
    const image = { path, format: formatOfName(path), bytes, ...(await digestsOf(path)) }
    const published = await step('Publish', (report) =>
      publisher.publish(
        {
          name: basename(path).replace(/\..*$/, ''),
          version: '20261129',
          image,
          manifest: undefined,
          others: [],
          stamp: undefined,
        },
        scope,
        report,
      ),
    )
    console.log(JSON.stringify(published))
  },
)
