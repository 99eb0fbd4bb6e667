/**
 * Image manifests (version 2) of hybrid images: made from typed data, checked by our own rules and
 * by Triton's validator, and written. Any tool's manifests are read in read-manifest.ts.
 */
import { open, rename, rm } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { strictProblems } from './manifest-rules.ts'
import { validators } from './validators.ts'

export type ImageManifest = {
  v: 2
  uuid: string
  owner: string
  name: string
  version: string
  state: 'active'
  disabled: false
  public: true
  published_at: string
  type: 'zvol'
  os: string
  files: { sha1: string; size: number; compression: 'gzip'; dataset_guid: string }[]
  description: string
  homepage: string
  requirements: {
    networks: { name: string; description: string }[]
    ssh_key: boolean
  }
  users: { name: string }[]
  nic_driver: string
  disk_driver: string
  cpu_type: string
  /** MiB */
  image_size: number
  tags: Record<string, string | number | boolean>
}

export type ManifestData = {
  name: string
  version: string
  description: string
  homepage: string
  volumeBytes: number
  publishedAt: Date
  defaultUser: string
  /** As the manifest names it; undefined: linux. */
  os?: string
  /** Devices that an instance gets; undefined: virtio. */
  nicDriver?: string
  diskDriver?: string
  /** The point release that it was made of. */
  upstream?: string | undefined
  /** The one firmware that it boots from. */
  firmware?: string | undefined
  /** What it needs of a processor, by the levels of the x86-64 psABI. */
  cpu?: string | undefined
  /** Files beside it that say more of the image: their names and digests, as tags. */
  records?: Readonly<Record<string, string>>
  /** SHA-256 of the image file, in hexadecimal: the UUID comes from it. */
  sha256: string
  file: { sha1: string; bytes: number; datasetGuid: bigint }
}

const MIB = 1024 ** 2

/** Stands for "the operator's own account": IMGAPI puts its administrator there. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/**
 * A UUID (RFC 9562 version 8) from a digest: the same content has the same UUID, on any machine.
 *
 * @param digest at least 32 hexadecimal digits
 */
export function contentUuid(digest: string): string {
  const variant = (8 + (Number.parseInt(digest[16]!, 16) & 3)).toString(16)
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}${variant}${digest.slice(17, 32)}`
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The manifest of an image. @throws {BuildError} when the volume is no whole number of MiB */
export function imageManifest(data: ManifestData): ImageManifest {
  if (data.volumeBytes % MIB !== 0) {
    throw new BuildError(
      `Cannot describe a volume of ${data.volumeBytes} bytes: it is no whole MiB`,
    )
  }
  return {
    v: 2,
    uuid: contentUuid(data.sha256),
    owner: NOBODY,
    name: data.name,
    version: data.version,
    state: 'active',
    disabled: false,
    public: true,
    published_at: data.publishedAt.toISOString().replace(/\.\d+/, ''),
    type: 'zvol',
    os: data.os ?? 'linux',
    files: [
      {
        sha1: data.file.sha1,
        size: data.file.bytes,
        compression: 'gzip',
        dataset_guid: String(data.file.datasetGuid),
      },
    ],
    description: data.description,
    homepage: data.homepage,
    requirements: { networks: [{ name: 'net0', description: 'public' }], ssh_key: true },
    users: [{ name: data.defaultUser }],
    nic_driver: data.nicDriver ?? 'virtio',
    disk_driver: data.diskDriver ?? 'virtio',
    cpu_type: 'host',
    image_size: data.volumeBytes / MIB,
    tags: {
      role: 'os',
      default_user: data.defaultUser,
      ...(data.upstream !== undefined && { upstream: data.upstream }),
      ...(data.firmware !== undefined && { firmware: data.firmware }),
      ...(data.cpu !== undefined && { cpu: data.cpu }),
      // A manifest may have no fields of its own making; tags it may.
      ...data.records,
    },
  }
}

/**
 * What Triton's own validator has to say, in all modes that an image meets. It judges images as a server has them:
 * with `activated`, which AdminImportImage adds, and refuses in what it is given (sdc-imgapi, lib/images.js).
 */
function referenceProblems(imported: object): string[] {
  const manifest = { ...imported, activated: true }
  const { validateMinimalManifest, validateDcManifest, validatePublicManifest } = validators()
  const modes = {
    imgadm: validateMinimalManifest,
    IMGAPI: validateDcManifest,
    'public IMGAPI': validatePublicManifest,
  }
  return Object.entries(modes).flatMap(([mode, validate]) => {
    try {
      return (validate(manifest) ?? []).map(
        ({ field, code, message }) => `${field}: refused by ${mode}: ${message ?? code}`,
      )
    } catch (error) {
      // It throws where a value has an unexpected type; our own rules then say which.
      return [`manifest: ${mode} can't read it: ${error instanceof Error ? error.message : error}`]
    }
  })
}

/** Everything that is wrong with a manifest of ours, a line per problem. */
export function manifestProblems(manifest: unknown): string[] {
  const strict = strictProblems(manifest)
  // Once ours hold, the reference adds what it alone knows; before, it would only repeat or crash.
  return strict.length > 0 ? strict : referenceProblems(manifest as object)
}

/** @throws {BuildError} with all problems, when there are any */
export function checkManifest(manifest: unknown): void {
  const problems = manifestProblems(manifest)
  if (problems.length === 0) return
  throw new BuildError(`Cannot use this manifest: ${problems.join('; ')}`)
}

/**
 * Check what is known before the build: the fields that its result will fill hold placeholders.
 *
 * @throws {BuildError} with all problems, when there are any
 */
export function checkDraft(data: Omit<ManifestData, 'sha256' | 'file'>): void {
  const file = { sha1: '0'.repeat(40), bytes: 1, datasetGuid: 1n }
  checkManifest(imageManifest({ ...data, sha256: '0'.repeat(64), file }))
}

/** Write a manifest, whole or not at all. @throws {BuildError} when it is wrong or can't be written */
export async function writeManifest(manifest: ImageManifest, path: string): Promise<void> {
  checkManifest(manifest)
  const partial = `${path}.partial`
  try {
    const file = await open(partial, 'w')
    try {
      await file.writeFile(`${JSON.stringify(manifest, undefined, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw explain(`write "${path}"`, error)
  }
}
