/** From a raw disk to the file that SmartOS imports: a gzipped send stream, with its digests. */
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { allocatedExtents } from '../disk/extents.ts'
import { type ZvolSource, zvolStream } from '../zfs/write.ts'
import { describeCompressor, gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'

/** A disk and what its snapshot is to be; its extents are found here. */
export type ZvolDisk = Omit<ZvolSource, 'extents' | 'onProgress'>

/**
 * Write the image of a disk. One pass, from the parts of the disk that hold data through checksums
 * and all cores' compressors to the file.
 *
 * @throws {BuildError} when the disk can't be read or the file can't be written; nothing is left then
 */
export async function writeZvolImage(
  disk: ZvolDisk,
  path: string,
  report: Report,
): Promise<ImageFile> {
  const extents = await allocatedExtents(disk.path)
  const signal = stopSignal()
  return act(
    `write ${path}: the send stream of ${disk.path}, through ${describeCompressor()}`,
    () =>
      writeImageFile(gzip(zvolStream({ ...disk, extents, onProgress: report }), { signal }), path, {
        signal,
      }),
    { path, bytes: 0, sha1: '', sha256: '' },
  )
}
