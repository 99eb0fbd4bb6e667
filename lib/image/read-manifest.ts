/** Reads image manifests of any tool: what `imgadm install` takes, and of that what we need. */
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import { readSmallFile } from '../cli/small-file.ts'
import { CPU_LEVELS, type CpuLevel } from '../host/accelerator.ts'
import { type NamedRecord, namedRecords } from './inspect-records.ts'
import { validators } from './validators.ts'

/** What we need of a manifest that any tool may have made. */
export type ReadManifest = {
  uuid: string
  name: string
  version: string
  type: string
  /** MiB */
  imageSize: number | undefined
  /** Login user, by the tag that Triton's own tools read; root where it is absent. */
  defaultUser: string
  /** By our own tags: the one firmware that it boots from, and what it needs of a processor. */
  firmware: 'bios' | 'uefi' | undefined
  cpu: CpuLevel | undefined
  /** Files beside it that say more of the image. */
  records: NamedRecord[]
  file: { sha1: string; size: number; compression: string; datasetGuid: string | undefined }
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

/** As text; what has none is none that the value could be compared with. */
const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : 'unknown'

/**
 * Read a manifest, ours or another tool's.
 *
 * @throws {BuildError} when it can't be read, is no JSON, or `imgadm install` would refuse it
 */
export async function readManifest(path: string): Promise<ReadManifest> {
  const text = (await readSmallFile(path)).toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new BuildError(`Cannot read manifest "${path}": ${oneLine((error as Error).message)}`, {
      cause: error,
    })
  }
  const refuse = (what: string) => new BuildError(`Cannot read manifest "${path}": ${what}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse('it is no JSON object')
  }
  let complaints
  try {
    complaints = validators().validateMinimalManifest(value) ?? []
  } catch (error) {
    throw refuse(`imgadm can't read it (${(error as Error).message})`)
  }
  if (complaints.length > 0) {
    throw refuse(complaints.map(({ field, code }) => `${field}: ${code}`).join(', '))
  }
  const manifest = value as Record<string, unknown>
  const file = (Array.isArray(manifest['files']) ? manifest['files'][0] : undefined) as
    Record<string, unknown> | undefined
  const size = file?.['size']
  const sha1 = file?.['sha1']
  if (!isCount(size) || typeof sha1 !== 'string' || !/^[0-9a-f]{40}$/.test(sha1)) {
    throw refuse('it names no file with a size and a sha1')
  }
  const imageSize = manifest['image_size']
  const guid = file?.['dataset_guid']
  const tags = (manifest['tags'] ?? {}) as Record<string, unknown>
  const user = tags['default_user']
  const oneOf = <T extends string>(tag: string, values: readonly T[]) =>
    values.find((value) => value === tags[tag])
  return {
    uuid: textOf(manifest['uuid']),
    name: textOf(manifest['name']),
    version: textOf(manifest['version']),
    type: textOf(manifest['type']),
    imageSize: isCount(imageSize) && imageSize > 0 ? imageSize : undefined,
    defaultUser: typeof user === 'string' ? user : 'root',
    firmware: oneOf('firmware', ['bios', 'uefi']),
    cpu: oneOf('cpu', CPU_LEVELS),
    records: namedRecords(tags),
    file: {
      sha1,
      size,
      compression: textOf(file?.['compression']),
      datasetGuid: guid === undefined ? undefined : textOf(guid),
    },
  }
}
