/** What of a build goes to Manta, and where each part of it will be. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BuildError, UsageError } from '../cli/errors.ts'
import { stopSignal } from '../cli/session.ts'
import { parseStamp } from '../image/stamp.ts'
import { pointersOf } from './manta-layout.ts'
import type { Publication } from './publisher.ts'

/** Made from the files of a build, never taken from its directory. */
export const SUMS = 'md5sums.txt'
export const ARTIFACTS = 'artifacts.txt'

export type BuildFile = { name: string; path: string; bytes: number; md5: string; to: string }

export type Build = {
  name: string
  stamp: string
  /** Directory of the build there, and of the builds of this name. */
  directory: string
  parent: string
  files: BuildFile[]
  pointers: string[]
  /** List of what is there, for Jenkins. */
  list: string
}

/**
 * Look at a build.
 *
 * @throws {UsageError} without a stamp, {BuildError} when that is of local changes and `dirty` is not set
 */
export async function mantaBuild(
  { name, stamp: own, image, manifest, others }: Publication,
  wanted: { base: string; stamp: string | undefined; branch: string | undefined; dirty: boolean },
): Promise<Build> {
  if (own !== undefined && wanted.stamp !== undefined && own !== wanted.stamp) {
    throw new UsageError(`Option --stamp ${wanted.stamp} is not that of the build: ${own}`)
  }
  const stamp = own ?? wanted.stamp
  const parsed = stamp === undefined ? undefined : parseStamp(stamp)
  if (stamp === undefined || !parsed || stamp.includes('/')) {
    throw new UsageError(
      stamp === undefined
        ? `Cannot publish "${image.path}" to Manta: it does not lie in a build's directory`
        : `Cannot use --stamp "${stamp}": it is none`,
      { hint: 'Name the stamp, as in --stamp main-20260508T120000Z-0123456789ab' },
    )
  }
  if (stamp.endsWith('-dirty') && !wanted.dirty) {
    throw new BuildError(`Cannot publish build ${stamp}: it was made with local changes`, {
      hint: 'Commit them and build again; or say --force',
    })
  }
  const parent = `${wanted.base}/${name}`
  const directory = `${parent}/${stamp}`
  const paths = [image.path, ...(manifest ? [manifest.path] : []), ...others].filter(
    (path) => ![SUMS, ARTIFACTS].includes(basename(path)),
  )
  const files: BuildFile[] = []
  for (const path of paths.sort()) {
    const { size: bytes } = await stat(path)
    const file = basename(path)
    files.push({ name: file, path, bytes, md5: await md5Of(path), to: `${directory}/${file}` })
  }
  const output = own === undefined ? dirname(image.path) : join(dirname(image.path), '../..')
  return {
    name,
    stamp,
    directory,
    parent,
    files,
    pointers: pointersOf(wanted.branch ?? parsed.branch).map((one) => `${parent}/${one}`),
    list: join(output, `${name}.artifacts-in-manta`),
  }
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5')
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    stopSignal().throwIfAborted()
    hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}
