/** Files of an image: written whole or not at all, with their digests from the same pass. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { explain } from '../cli/errors.ts'

export type ImageFile = {
  path: string
  bytes: number
  /** Lower-case hexadecimal. */
  sha1: string
  sha256: string
}

/** Counts and digests bytes as they pass. */
class Digests {
  #sha1 = createHash('sha1')
  #sha256 = createHash('sha256')
  bytes = 0

  update(piece: Uint8Array): void {
    this.#sha1.update(piece)
    this.#sha256.update(piece)
    this.bytes += piece.length
  }

  /** Once. */
  finish(path: string): ImageFile {
    const sha1 = this.#sha1.digest('hex')
    return { path, bytes: this.bytes, sha1, sha256: this.#sha256.digest('hex') }
  }
}

/**
 * Write pieces to `<path>.partial`, onto the disk, and give it its name. The next piece is asked for
 * when the one before is written; `onProgress` hears the bytes so far.
 *
 * @throws {BuildError} when it can't be written (a full disk, say), the signal's reason when it is
 *   aborted, and whatever the pieces throw; nothing is left then
 */
export async function writeImageFile(
  pieces: AsyncIterable<Buffer> | Iterable<Buffer>,
  path: string,
  options: { signal?: AbortSignal; onProgress?: (bytes: number) => void } = {},
): Promise<ImageFile> {
  const partial = `${path}.partial`
  const digests = new Digests()
  let file: FileHandle | undefined
  try {
    file = await open(partial, 'w')
    for await (const piece of pieces) {
      options.signal?.throwIfAborted()
      digests.update(piece)
      await file.writeFile(piece) // all of it, at the current position
      options.onProgress?.(digests.bytes)
    }
    await file.sync()
    await file.close()
    file = undefined
    await rename(partial, path)
  } catch (error) {
    await file?.close().catch(() => {})
    await rm(partial, { force: true })
    throw explain(`write "${path}"`, error)
  }
  return digests.finish(path)
}

/** Size and digests of a file. @throws {BuildError} when it can't be read */
export async function digestFile(path: string): Promise<ImageFile> {
  const digests = new Digests()
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      digests.update(piece as Buffer)
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  return digests.finish(path)
}
