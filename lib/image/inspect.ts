/** Looks at an image as `imgadm install` would, and further: digests, and every record. */
import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { restoreStream, type StreamSummary, summarizeStream } from '../zfs/restore.ts'
import { openStream } from './convert.ts'
import { formatOfContent } from './formats.ts'
import { digestFile, type ImageFile } from './image-file.ts'
import { type FoundRecord, inspectRecords } from './inspect-records.ts'
import { type ReadManifest, readManifest } from './read-manifest.ts'

/** Endings of manifests. */
export const MANIFEST = /\.(imgmanifest|manifest|json)$/

export type Inspection = {
  manifest: (ReadManifest & { path: string }) | undefined
  file: ImageFile
  stream: StreamSummary
  /** Of the manifest: bill of materials and provenance. */
  records: FoundRecord[]
  /** What does not fit together, a line each; empty when all is well. */
  problems: string[]
}

/** The image file that belongs to a manifest: beside it, of the same name. */
export async function imageFileOf(manifest: string): Promise<string> {
  const base = manifest.replace(MANIFEST, '')
  for (const ending of ['.zfs.gz', '.zvol.gz']) {
    const path = `${base}${ending}`
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path
  }
  const { globby } = await import('globby') // not for every command
  // A directory that may not be listed has none to tell of.
  const others = await globby('*.{zfs,zvol}.gz', { cwd: dirname(manifest) }).catch(() => [])
  throw new BuildError(`Cannot find the image file of "${manifest}": there is no ${base}.zfs.gz`, {
    hint:
      others.length > 0
        ? `There is ${others.map((name) => join(dirname(manifest), name)).join(', ')}`
        : undefined,
  })
}

function mismatches(manifest: ReadManifest, file: ImageFile, stream: StreamSummary): string[] {
  const pairs: [string, string | number | undefined, string | number][] = [
    ['size', manifest.file.size, file.bytes],
    ['sha1', manifest.file.sha1, file.sha1],
    ['image_size', manifest.imageSize, stream.volumeBytes / 1024 ** 2],
    ['dataset_guid', manifest.file.datasetGuid, String(stream.guid)],
    ['type', manifest.type, 'zvol'],
  ]
  return pairs
    .filter(([, said, found]) => said !== undefined && said !== found)
    .map(([what, said, found]) => `${what} is ${said} in the manifest, ${found} in the file`)
}

/** A file whose bytes are those that its manifest speaks of. */
export type Matched = Pick<Inspection, 'manifest' | 'file'> & { format: 'zfs' | 'zfs.gz' }

/**
 * Read a manifest and its file's digest, or a stream's alone; the stream itself is not looked at.
 *
 * @throws {BuildError} when one can't be read, or size or sha1 do not fit
 */
export async function matchManifest(path: string): Promise<Matched> {
  const manifest = MANIFEST.test(path) ? { ...(await readManifest(path)), path } : undefined
  const imagePath = manifest ? await imageFileOf(path) : path
  const format = await formatOfContent(imagePath)
  if (format !== 'zfs' && format !== 'zfs.gz') {
    throw new BuildError(`Cannot inspect "${imagePath}": it is no send stream`, {
      hint: 'Name a manifest, or a .zfs.gz file',
    })
  }
  const file = await digestFile(imagePath)
  if (manifest) {
    const { size, sha1 } = manifest.file
    if (size !== file.bytes) throw differs(path, 'size', size, file.bytes)
    if (sha1 !== file.sha1) throw differs(path, 'sha1', sha1, file.sha1)
  }
  return { manifest, file, format }
}

/**
 * Read the stream and check everything that can be checked; on the way the disk can be restored.
 *
 * @throws {BuildError} when the stream is damaged, or the disk can't be written
 */
export async function inspectMatched(
  { manifest, file, format }: Matched,
  restoreTo?: { disk: string; signal: AbortSignal },
): Promise<Inspection> {
  const pieces = openStream(file.path, format)
  const stream = restoreTo
    ? await restoreStream(pieces, restoreTo.disk, { signal: restoreTo.signal })
    : await summarizeStream(pieces)
  const records = manifest ? await inspectRecords(manifest.records, manifest.path, file) : []
  const problems = [
    ...(manifest ? mismatches(manifest, file, stream) : []),
    ...records
      .filter(({ state }) => state === 'wrong')
      .map(({ kind, name, says }) => `${kind} ${name}: ${says}`),
  ]
  return { manifest, file, stream, records, problems }
}

/**
 * Read a manifest with its file, or a stream alone, and check everything that can be checked.
 *
 * @throws {BuildError} when something can't be read, or the stream is damaged. A manifest whose size
 *   or sha1 does not fit is told before the stream is read: it would only be damaged as well.
 */
export async function inspectImage(path: string): Promise<Inspection> {
  return inspectMatched(await matchManifest(path))
}

function differs(path: string, what: string, said: string | number, found: string | number) {
  return new BuildError(`Image does not match "${path}": ${what} is ${found}, not ${said}`, {
    hint: 'Fetch both files again, or build the image again',
  })
}
