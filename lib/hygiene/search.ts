/** Looks for byte strings in a disk or a file, wherever they are: in files, in free space, between. */
import type { FileHandle } from 'node:fs/promises'
import { BuildError } from '../cli/errors.ts'
import type { Extent } from '../zfs/write.ts'
import type { Secret } from './secrets.ts'

const READ = 4 << 20

export type Found = { secret: Secret; offset: number }

/**
 * The first place of each that is there.
 *
 * @param extents what is read of it, ascending; the rest is known to be zeros
 * @throws {BuildError} when it ends before its extents do
 */
export async function searchBytes(
  file: FileHandle,
  extents: readonly Extent[],
  secrets: readonly Secret[],
  signal?: AbortSignal,
): Promise<Found[]> {
  const left = new Set(secrets)
  const found: Found[] = []
  // What a piece ends with is looked at again with the next: a secret may lie across.
  const overlap = Math.max(1, ...secrets.map(({ bytes }) => bytes.length)) - 1
  const buffer = Buffer.alloc(overlap + READ)
  let kept = 0
  let end: number | undefined
  for (const { offset, length } of extents) {
    if (offset !== end) kept = 0
    for (let at = offset; at < offset + length && left.size > 0;) {
      signal?.throwIfAborted()
      const wanted = Math.min(READ, offset + length - at)
      const { bytesRead } = await file.read(buffer, kept, wanted, at)
      if (bytesRead === 0) throw new BuildError(`Cannot search the image: it ends at byte ${at}`)
      const piece = buffer.subarray(0, kept + bytesRead)
      for (const secret of left) {
        const place = piece.indexOf(secret.bytes)
        if (place < 0) continue
        found.push({ secret, offset: at - kept + place })
        left.delete(secret)
      }
      at += bytesRead
      const keep = Math.min(overlap, piece.length)
      piece.copy(buffer, 0, piece.length - keep)
      kept = keep
    }
    end = offset + length
  }
  return found
}
