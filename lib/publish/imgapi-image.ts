/** An image as IMGAPI sees it, and what an image that is there already means. */
import { BuildError, UsageError } from '../cli/errors.ts'
import { shellWord } from '../cli/shell-words.ts'
import type { ServersImage } from './imgapi-client.ts'
import type { Publication } from './publisher.ts'

/** Of IMGAPI's constants.js. */
const LARGEST_FILE = 20 * 1024 ** 3

export type Image = {
  uuid: string
  title: string
  manifest: NonNullable<Publication['manifest']>
  file: Publication['image']
  compression: string
  guid: string | undefined
}

/**
 * The part of a publication that IMGAPI takes.
 *
 * @throws {UsageError} without a manifest, {BuildError} for a file that is too large
 */
export function imgapiImage({ manifest, image, name, version }: Publication): Image {
  if (!manifest) {
    throw new UsageError(`Cannot publish "${image.path}" to an IMGAPI without its manifest`, {
      hint: 'Name the .imgmanifest file; the image lies beside it',
    })
  }
  if (image.bytes > LARGEST_FILE) {
    const gib = (image.bytes / 1024 ** 3).toFixed(1)
    throw new BuildError(`Cannot publish "${image.path}": it has ${gib} GiB`, {
      hint: 'IMGAPI takes files of up to 20 GiB',
    })
  }
  const files = manifest.content['files'] as readonly Record<string, unknown>[] // it has been validated
  const guid = files[0]?.['dataset_guid']
  return {
    uuid: String(manifest.content['uuid']),
    title: [name, version].filter(Boolean).join(' '),
    manifest,
    file: image,
    compression: String(files[0]?.['compression']),
    guid: typeof guid === 'string' || typeof guid === 'number' ? String(guid) : undefined,
  }
}

/**
 * Is this image published there? A leftover of an earlier run is not.
 *
 * @throws {BuildError} when what is there is no leftover of ours, and not the same
 */
export function isPublished(
  there: ServersImage,
  { uuid, file }: Image,
  channel: string | undefined,
  { host }: URL,
): boolean {
  if (channel !== undefined && there.channels && !there.channels.includes(channel)) {
    throw new BuildError(
      `Cannot publish image ${uuid} to channel ${channel}: it is in ${there.channels.join(', ')} already`,
      {
        hint: `Add it there: updates-imgadm -C ${there.channels[0]} channel-add ${channel} ${uuid}`,
      },
    )
  }
  if (there.state === 'unactivated' || there.state === 'failed') return false
  if (there.state === 'creating') {
    throw new BuildError(`Cannot publish image ${uuid}: ${host} is creating an image of this uuid`)
  }
  if (!sameFile(there, file)) {
    throw new BuildError(
      `Cannot publish image ${uuid}: ${host} has another file of this uuid, sha1 ${there.file?.sha1}, not ${file.sha1}`,
      { hint: 'A published image never changes: build again, a new build has a new uuid' },
    )
  }
  if (there.state !== 'active') {
    throw new BuildError(`Cannot publish image ${uuid}: it is there, but ${there.state}`, {
      hint: `If that is no longer wanted: sdc-imgadm enable ${uuid}`,
    })
  }
  return true
}

/** Is what the server has the file that is to be published? */
export const sameFile = (
  { file }: ServersImage,
  { sha1, bytes }: { sha1: string; bytes: number },
) => file?.sha1 === sha1 && file.size === bytes

/** How the image is taken from there, or from here. */
export function takingLines({ uuid, manifest, file }: Image): string[] {
  const files = `-m ${shellWord(manifest.path)} -f ${shellWord(file.path)}`
  return [
    `On SmartOS, from a repository that it has as a source: imgadm import ${uuid}`,
    `On SmartOS, from these files: imgadm install ${files}`,
    `In a Triton data centre, from these files: sdc-imgadm import ${files}`,
  ]
}
