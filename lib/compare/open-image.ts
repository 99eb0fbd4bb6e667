/**
 * An image as a comparison needs it: what its file says, and its raw disk, restored below a temporary directory where
 * the file is none. The file itself is only read.
 */
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { checkIsFile } from '../cli/small-file.ts'
import { openStream, unpacked, writeRaw } from '../image/convert.ts'
import { type Format, formatOfContent } from '../image/formats.ts'
import { digestFile } from '../image/image-file.ts'
import { imageFileOf, MANIFEST } from '../image/inspect.ts'
import { readManifest } from '../image/read-manifest.ts'
import { restoreStream, type StreamSummary } from '../zfs/restore.ts'
import type { Fact } from './difference.ts'

/** What was named: an image file, found by itself or by its manifest. */
export type NamedImage = {
  path: string
  format: Format
  bytes: number
  /** Lower-case hexadecimal; a raw disk, which is mostly holes, has none. */
  sha256?: string
  /** The manifest's own fields, where one was named. */
  manifest?: Fact[]
}

/**
 * Find it, and digest it.
 *
 * @throws {BuildError} when it can't be read, is of no known format, or is not what its manifest says
 */
export async function findImage(named: string, report: Report): Promise<NamedImage> {
  const manifest = MANIFEST.test(named) ? await readManifest(named) : undefined
  const path = manifest ? await imageFileOf(named) : named
  const format = await formatOfContent(path)
  const { size } = await checkIsFile(path)
  if (format === 'raw') return { path, format, bytes: size }
  report(undefined, path)
  const { sha1, sha256 } = await digestFile(path)
  stopSignal().throwIfAborted()
  if (!manifest) return { path, format, bytes: size, sha256 }
  if (manifest.file.sha1 !== sha1) {
    throw new BuildError(
      `Image does not match "${named}": sha1 is ${sha1}, not ${manifest.file.sha1}`,
      { hint: 'Fetch both files again, or name the image file in place of its manifest' },
    )
  }
  return { path, format, bytes: size, sha256, manifest: await manifestFacts(named) }
}

/** All but what is told of the file itself; readManifest() has found that it is one. */
async function manifestFacts(path: string): Promise<Fact[]> {
  const { files: _, ...fields } = JSON.parse(await readFile(path, 'utf8')) as Record<
    string,
    unknown
  >
  return factsOf(fields)
}

/** Fields of fields as `tags.role`. */
function factsOf(fields: object, before = ''): Fact[] {
  return Object.entries(fields).flatMap(([name, value]): Fact[] => {
    const whole = `${before}${name}`
    if (typeof value === 'object' && value !== null) return factsOf(value, `${whole}.`)
    return [[whole, String(value)]]
  })
}

export type RestoredImage = {
  /** A path of ours, without anything that debugfs or mtools would take for more than a path. */
  disk: string
  stream?: StreamSummary
}

/** Restore its disk below `work`, a directory that is there. @throws {BuildError} when it is damaged */
export async function restoreImage(
  { path, format }: NamedImage,
  work: string,
  report: Report,
): Promise<RestoredImage> {
  const disk = join(work, 'disk.raw')
  if (format === 'raw') {
    await act(`link ${disk}`, () => symlink(resolve(path), disk))
    return { disk }
  }
  if (format === 'zfs' || format === 'zfs.gz') {
    const signal = stopSignal()
    const stream = await restoreStream(openStream(path, format, report), disk, { signal })
    return { disk, stream }
  }
  if (format === 'tgz') throw new BuildError(`Cannot restore "${path}": it holds files, no disk`)
  await writeRaw(path, format, disk, report)
  return { disk }
}

/** The tar that a root tar is. */
export const openTar = ({ path }: NamedImage, report: Report) => unpacked(path, report)

/** A directory of its own for each image. */
export async function workFor(which: 'a' | 'b', work: string): Promise<string> {
  const directory = join(work, which)
  await act(`make ${directory}`, () => mkdir(directory))
  return directory
}
