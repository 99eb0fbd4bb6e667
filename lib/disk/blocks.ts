/**
 * A disk as its blocks of data, ascending; what none covers is zeros. This is how disks are handed from
 * one format to another: a large empty disk costs little, and memory is bounded.
 */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import type { Extent } from '../zfs/write.ts'

/** A part of a disk. Who gets it may keep it. */
export type Block = { offset: number; data: Buffer }

/** Returns the bytes of the whole disk. */
export type Blocks = AsyncGenerator<Block, number, void>

/** Bytes read at once. */
const READ = 1 << 20
/** What a file system allocates: runs of zeros as long as this become holes. */
const GRAIN = 4096
const ZEROS = Buffer.alloc(1 << 20)

/** Is this one of flatten()'s pieces for what no block covers? */
export const isFiller = (piece: Buffer) => piece.buffer === ZEROS.buffer

/** The parts of a file that may hold data. @throws {BuildError} when it can't be read, or shrinks */
export async function* fileBlocks(path: string, extents: Iterable<Extent>): Blocks {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { size } = await file.stat()
    for (const { offset, length } of extents) {
      const end = Math.min(offset + length, size)
      for (let at = offset; at < end;) {
        const buffer = Buffer.allocUnsafe(Math.min(READ, end - at))
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
        if (bytesRead === 0) throw endsEarly(path, at, size)
        yield { offset: at, data: buffer.subarray(0, bytesRead) }
        at += bytesRead
      }
    }
    // Again: what lies in holes is never read, so that a disk cut short there would go unnoticed.
    const now = (await stat(path)).size
    if (now < size) throw endsEarly(path, now, size)
    return size
  } catch (error) {
    throw explain(`read "${path}"`, error)
  } finally {
    await file?.close()
  }
}

function endsEarly(path: string, end: number, bytes: number): BuildError {
  return new BuildError(`Cannot read "${path}": it ends at byte ${end} of ${bytes}`, {
    hint: 'Something else writes to it: try again when that has ended',
  })
}

/** A disk that comes as all of its bytes, in pieces. */
export async function* piecesAsBlocks(pieces: AsyncIterable<Buffer>): Blocks {
  let offset = 0
  for await (const data of pieces) {
    yield { offset, data }
    offset += data.length
  }
  return offset
}

/** All bytes of the disk, in pieces; zeros come as pieces that isFiller() knows. */
export async function* flatten(blocks: Blocks): AsyncGenerator<Buffer> {
  let at = 0
  const fill = function* (to: number) {
    for (; at < to; at += Math.min(ZEROS.length, to - at)) {
      yield ZEROS.subarray(0, Math.min(ZEROS.length, to - at))
    }
  }
  try {
    for (let next = await blocks.next(); ; next = await blocks.next()) {
      if (next.done) return yield* fill(next.value)
      const { offset, data } = next.value
      yield* fill(offset)
      yield data
      at = offset + data.length
    }
  } finally {
    await blocks.return(0)
  }
}

/** Parts of a block that are not zeros, cut where a file system's own blocks begin. */
function* withoutZeros({ offset, data }: Block): Generator<Block> {
  if (isZeros(data)) return
  let from: number | undefined
  for (let at = 0; at < data.length;) {
    const end = Math.min(data.length, at + GRAIN - ((offset + at) % GRAIN))
    const zeros = isZeros(data.subarray(at, end))
    if (!zeros) from ??= at
    else if (from !== undefined) {
      yield { offset: offset + from, data: data.subarray(from, at) }
      from = undefined
    }
    at = end
  }
  if (from !== undefined) yield { offset: offset + from, data: data.subarray(from) }
}

function isZeros(data: Buffer): boolean {
  if (data.length <= ZEROS.length) return data.equals(ZEROS.subarray(0, data.length))
  return isZeros(data.subarray(0, ZEROS.length)) && isZeros(data.subarray(ZEROS.length))
}

/**
 * Write a raw disk: a sparse file, with its final name only when whole. Returns its bytes.
 *
 * @throws {BuildError} when it can't be written, the signal's reason when it is aborted, and whatever
 *   the blocks throw; nothing is left then
 */
export async function writeSparse(
  blocks: Blocks,
  path: string,
  options: { signal?: AbortSignal } = {},
): Promise<number> {
  const partial = `${path}.partial`
  let file: FileHandle | undefined
  try {
    file = await open(partial, 'w')
    for (;;) {
      const next = await blocks.next()
      options.signal?.throwIfAborted()
      if (next.done) {
        await file.truncate(next.value)
        await file.sync()
        await file.close()
        file = undefined
        await rename(partial, path)
        return next.value
      }
      for (const { offset, data } of withoutZeros(next.value)) {
        await writeFully(file, data, offset)
      }
    }
  } catch (error) {
    await file?.close().catch(() => {})
    await rm(partial, { force: true })
    throw explain(`write "${path}"`, error)
  } finally {
    await blocks.return(0)
  }
}

async function writeFully(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done)
    done += bytesWritten
  }
}
