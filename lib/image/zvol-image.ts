/** From a disk to the file that SmartOS imports: a gzipped send stream, with its digests. */
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import type { DiskSnapshot } from '../disk/disk.ts'
import { describeCompressor, gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'

/**
 * Write the image of a disk. One pass, from the send stream through all cores' compressors to the file.
 *
 * @throws {BuildError} when the disk can't be read or the file can't be written; nothing is left then
 */
export async function writeZvolImage(
  { says, stream }: Omit<DiskSnapshot, 'guid'>,
  path: string,
  report: Report,
): Promise<ImageFile> {
  const signal = stopSignal()
  return act(
    `write ${path}: ${says}, through ${describeCompressor()}`,
    () => writeImageFile(gzip(stream(report), { signal }), path, { signal }),
    { path, bytes: 0, sha1: '', sha256: '' },
  )
}
