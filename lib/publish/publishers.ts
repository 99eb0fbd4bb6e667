/** The publishers by name: a new one is an import and a row here. */
import { UsageError } from '../cli/errors.ts'
import type { Options } from '../cli/options.ts'
import { imgapiOptions, imgapiPublisher } from './imgapi.ts'
import { libvirtOptions, libvirtPublisher } from './libvirt.ts'
import { maasOptions, maasPublisher } from './maas.ts'
import { mantaOptions, mantaPublisher } from './manta.ts'
import type { Publisher } from './publisher.ts'
import { serverOptions } from './server-options.ts'

const PUBLISHERS = {
  imgapi: { options: imgapiOptions, make: imgapiPublisher },
  manta: { options: mantaOptions, make: mantaPublisher },
  maas: { options: maasOptions, make: maasPublisher },
  libvirt: { options: libvirtOptions, make: libvirtPublisher },
}

export type PublisherName = keyof typeof PUBLISHERS
export const PUBLISHER_NAMES = [
  'imgapi',
  'manta',
  'maas',
  'libvirt',
] as const satisfies readonly PublisherName[]

/** Options of all of them. */
export const publisherOptions = {
  ...serverOptions,
  ...imgapiOptions,
  ...mantaOptions,
  ...maasOptions,
  ...libvirtOptions,
  url: serverOptions.url, // what it says is of all that have it
} as const

/**
 * The publisher of a name, with its options.
 *
 * @throws {UsageError} for an option of another one, and for what it lacks
 */
export function choosePublisher(
  name: PublisherName,
  options: Options<typeof publisherOptions>,
  env: NodeJS.ProcessEnv = process.env,
): Publisher {
  const { options: own, make } = PUBLISHERS[name]
  for (const [option, value] of Object.entries(options)) {
    const known = option in publisherOptions
    if (known && !(option in own) && value !== undefined && value !== false) {
      throw new UsageError(`Option --${option} does not fit --to ${name}`)
    }
  }
  return make(options, env)
}
