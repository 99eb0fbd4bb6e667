/**
 * Hands images to MAAS, as boot resources `custom/<name>` that its machines are deployed with.
 *
 * An upload that an earlier run was cut off from goes on where MAAS has it, where that can be told; otherwise
 * it is deleted and sent anew. A run that fails, or is interrupted, deletes the resource that it made. An
 * image of that name with another content stays as it is: MAAS would delete it at the first byte of a new one.
 */
import { BuildError, UsageError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { type Options, type OptionTable, parseUrl } from '../cli/options.ts'
import { act } from '../cli/run.ts'
import { maasApi } from './maas-api.ts'
import { parseKeyFile, readKey } from './maas-key.ts'
import { fileTypeOf, findResource, type Resource, type ResourceFile } from './maas-resource.ts'
import { complete, isThis, type MaasTuning, send, type Upload } from './maas-send.ts'
import type { Published, Publisher } from './publisher.ts'
import { transferReport } from './rate.ts'
import { serverOptions } from './server-options.ts'

/** Without defaults and variables here: only what was said is known to be meant for this publisher. */
export const maasOptions = {
  url: serverOptions.url,
  'api-key': {
    arg: 'FILE',
    help: "maas: file with an administrator's API key (or the key itself in $MAAS_API_KEY)",
    parse: parseKeyFile,
  },
  architecture: {
    arg: 'ARCH',
    help: 'maas: of the machines that it deploys the image on (default amd64/generic)',
    choices: ['amd64/generic', 'arm64/generic'],
  },
  title: { arg: 'TITLE', help: 'maas: what it shows for the image (default: name and version)' },
  'base-image': {
    arg: 'OS/SERIES',
    help: 'maas: what it takes the image for, as in ubuntu/jammy (default: what it commissions with)',
  },
} as const satisfies OptionTable

/** @throws {UsageError} without an address, or with a user in it */
export function maasPublisher(
  options: Options<typeof maasOptions>,
  env: NodeJS.ProcessEnv = process.env,
  tuning: MaasTuning = {},
): Publisher {
  const { architecture = 'amd64/generic' } = options
  const { MAAS_URL: fallback } = env
  const address = options.url ?? (fallback ? new URL(parseUrl(fallback)) : undefined)
  if (address === undefined) {
    throw new UsageError('Missing --url URL of MAAS, or $MAAS_URL', {
      hint: 'As in --url http://192.0.2.1:5240/MAAS',
    })
  }
  if (address.username !== '' || address.password !== '') {
    throw new UsageError(`Cannot use an address of ${address.host} with a user in it`, {
      hint: 'Requests to MAAS are signed with an API key: --api-key FILE',
    })
  }
  const url = address.href.replace(/\/+$/, '')
  return {
    async publish(publication, scope, report) {
      const { image, name } = publication
      const type = fileTypeOf(image.path, image.format)
      const published = (existed: boolean): Published => ({
        where: `custom/${name} at ${url}`,
        existed,
        lines: [
          'A machine is deployed with it by: ' +
            `maas admin machine deploy SYSTEM_ID osystem=custom distro_series=${name}`,
        ],
      })
      const form = {
        name: `custom/${name}`,
        title: options.title ?? [name, publication.version].filter(Boolean).join(' '),
        architecture,
        filetype: type.filetype,
        ...(options['base-image'] !== undefined && { base_image: options['base-image'] }),
        sha256: image.sha256,
        size: String(image.bytes),
      }
      return act(
        `upload ${image.path} to ${url} as ${form.name}, ${form.filetype} for ${architecture}`,
        async () => {
          const directory = await scope.tempDir('maas')
          const key = await readKey(options['api-key'], env)
          const api = maasApi(url, key, directory, tuning.pauseMs)
          const upload: Upload = { api, form, image, directory, tuning }
          const found = await findResource(api, form)
          const files = found?.files ?? []
          // What MAAS deploys: it may keep older ones behind that.
          const newest = files.find(({ complete }) => complete)
          const there = newest !== undefined && isThis(upload, newest)
          if (found && !there && !files.every((file) => isThis(upload, file))) {
            throw other(upload, found)
          }
          const mistyped = files.find(
            (file) => isThis(upload, file) && file.filetype !== type.stored,
          )
          if (found && mistyped) throw otherType(upload, found, mistyped, type.stored)
          if (there) {
            log.info(`${form.name} is there already, and the same`)
            return published(true)
          }
          await send(upload, found, scope, transferReport(image.bytes, report))
          await complete(upload, (note) => report(1, note))
          return published(false)
        },
        published(false),
      )
    },
  }
}

const deleteHint = ({ id }: Resource) =>
  `Publish under another name, or remove that one first: maas admin boot-resource delete ${id}`

const other = ({ form, api }: Upload, found: Resource) =>
  new BuildError(`Cannot publish ${form.name}: ${api.url} has another image of that name`, {
    hint: deleteHint(found),
  })

const otherType = ({ form, api }: Upload, found: Resource, file: ResourceFile, wants: string) =>
  new BuildError(
    `Cannot publish ${form.name}: ${api.url} has it as ${file.filetype}, and it is ${wants}`,
    { hint: deleteHint(found) },
  )
