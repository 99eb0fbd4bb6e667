/** The publishers by name: a new one is an import and a row here. */
import { UsageError } from '../cli/errors.ts'
import type { Options } from '../cli/options.ts'
import { imgapiOptions, imgapiPublisher } from './imgapi.ts'
import { libvirtOptions, libvirtPublisher } from './libvirt.ts'
import { maasOptions, maasPublisher } from './maas.ts'
import { mantaOptions, mantaPublisher } from './manta.ts'
import type { Publisher } from './publisher.ts'

/**
 * `what` is said in the usage text. Rows of `options` have no defaults, so that it is known which are given; one that
 * two publishers have is the same row. `make` takes what of them is given, and the environment.
 */
const PUBLISHERS = {
  imgapi: {
    what: 'the IMGAPI of a Triton data centre, or an image repository: imported, compared, activated',
    options: imgapiOptions,
    make: imgapiPublisher,
  },
  manta: {
    what: 'a directory in Manta, <path>/<name>/<stamp>/, with md5sums.txt and the pointers to the newest',
    options: mantaOptions,
    make: mantaPublisher,
  },
  maas: {
    what: 'the region of a MAAS: a boot resource, sent in parts and compared',
    options: maasOptions,
    make: (options: Options<typeof maasOptions>, env: NodeJS.ProcessEnv) =>
      maasPublisher(options, env),
  },
  libvirt: {
    what: 'a pool of a libvirt host: a volume that instances are made over',
    options: libvirtOptions,
    make: libvirtPublisher,
  },
}

export type PublisherName = keyof typeof PUBLISHERS

/** Of a type that keys have: what Object.keys loses. */
export const PUBLISHER_NAMES = Object.keys(PUBLISHERS) as readonly PublisherName[]

type Both<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer A) => void
  ? A
  : never

/** Options of all of them; merged from rows of these types. */
export const publisherOptions = Object.assign(
  {},
  ...Object.values(PUBLISHERS).map(({ options }) => options),
) as Both<(typeof PUBLISHERS)[PublisherName]['options']>

/** `[name, what it is]`, for the usage text. */
export const describePublishers = () =>
  Object.entries(PUBLISHERS).map(([name, { what }]) => [name, what] as const)

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
    const given = value !== undefined && value !== false && !(Array.isArray(value) && !value[0])
    if (given && option in publisherOptions && !(option in own)) {
      throw new UsageError(`Option --${option} does not fit --to ${name}`)
    }
  }
  return make(options, env)
}
