/** The gzipped raw disk that MAAS calls ddgz, with its digests: one pass, in which holes cost little. */
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { type Blocks, fileBlocks, flatten } from '../disk/blocks.ts'
import { allocatedExtents } from '../disk/extents.ts'
import { describeCompressor, gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'

/** @throws {BuildError} when the disk can't be read or the file can't be written; nothing is left then */
export async function writeDdImage(blocks: Blocks, path: string): Promise<ImageFile> {
  const signal = stopSignal()
  return writeImageFile(gzip(flatten(blocks), { signal }), path, { signal })
}

/** Write the image of a raw disk. @throws {BuildError} as writeDdImage */
export async function writeDdImageOf(
  disk: string,
  path: string,
  report: Report,
): Promise<ImageFile> {
  const extents = await allocatedExtents(disk)
  return act(
    `write ${path}: ${disk}, through ${describeCompressor()}`,
    () => writeDdImage(reported(fileBlocks(disk, extents), extents, report), path),
    { path, bytes: 0, sha1: '', sha256: '' },
  )
}

/** Tells how much of what the extents hold has passed. */
async function* reported(
  blocks: Blocks,
  extents: readonly { length: number }[],
  report: Report,
): Blocks {
  const all = extents.reduce((sum, { length }) => sum + length, 0)
  let done = 0
  try {
    for (let next = await blocks.next(); ; next = await blocks.next()) {
      if (next.done) return next.value
      yield next.value
      done += next.value.data.length
      report(done / all)
    }
  } finally {
    await blocks.return(0)
  }
}
