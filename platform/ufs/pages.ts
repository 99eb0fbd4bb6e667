/**
 * An image file in pages of one file system block.
 *
 * Metadata (cylinder groups, inodes, directories, indirect blocks) is changed in pages that are kept in
 * memory and written at the end: a few MiB for an archive of 350 MiB. File content goes past them,
 * straight to the file. A transaction puts every page back when its work fails, so that an edit is
 * there whole or not at all. Offsets and lengths are bytes.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { BuildError, explain } from '../../lib/cli/errors.ts'

export type Pages = {
  readonly path: string
  /** Length of the image file. */
  readonly bytes: number
  /** A page to look at. */
  page(number: number): Buffer
  /** The same page to change. */
  change(number: number): Buffer
  /** Content from the file, which has all of it. */
  read(offset: number, length: number): Buffer
  /** Content to the file at once: not for use inside a transaction. */
  write(offset: number, data: Uint8Array): void
  transaction<T>(work: () => T): T
  /** All changes to the file, and the file to the disk. */
  flush(): void
  close(): void
}

/** The whole range or an error: files can give less than was asked for. */
export function readFully(fd: number, path: string, offset: number, length: number): Buffer {
  const data = Buffer.alloc(length)
  for (let done = 0; done < length;) {
    const count = readSync(fd, data, done, length - done, offset + done)
    if (count === 0) {
      throw new BuildError(`Cannot read "${path}": it ends at byte ${offset + done}`)
    }
    done += count
  }
  return data
}

function writeFully(fd: number, data: Uint8Array, offset: number): void {
  for (let done = 0; done < data.length;) {
    done += writeSync(fd, data, done, data.length - done, offset + done)
  }
}

/** @throws {BuildError} when the file can't be opened */
export function openImage(path: string, mode: 'r' | 'r+'): number {
  let fd: number
  try {
    fd = openSync(path, mode)
  } catch (error) {
    throw explain(`open "${path}"`, error)
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw new BuildError(`Cannot open "${path}" as UFS image: it is not a file`)
}

export function pagesOf(fd: number, path: string, pageBytes: number): Pages {
  const bytes = fstatSync(fd).size
  const cached = new Map<number, Buffer>()
  const dirty = new Set<number>()
  let before: Map<number, Buffer> | undefined

  /** The last page may be cut short by the end of the file. */
  const lengthOf = (number: number) => Math.min(pageBytes, bytes - number * pageBytes)

  const page = (number: number): Buffer => {
    const known = cached.get(number)
    if (known) return known
    if (number < 0 || lengthOf(number) <= 0) {
      throw new BuildError(`Cannot read "${path}": it has no byte ${number * pageBytes}`)
    }
    const data = Buffer.alloc(pageBytes)
    readFully(fd, path, number * pageBytes, lengthOf(number)).copy(data)
    cached.set(number, data)
    return data
  }

  return {
    path,
    bytes,
    page,
    change(number) {
      const data = page(number)
      if (before && !before.has(number)) before.set(number, Buffer.from(data))
      dirty.add(number)
      return data
    },
    read: (offset, length) => readFully(fd, path, offset, length),
    write(offset, data) {
      writeFully(fd, data, offset)
      // A page in memory is written later, and may have other things beside this: it must not differ.
      const end = offset + data.length
      const last = Math.floor((end - 1) / pageBytes)
      for (let number = Math.floor(offset / pageBytes); number <= last; number++) {
        const at = number * pageBytes
        const from = Math.max(offset, at)
        const part = data.subarray(from - offset, Math.min(end, at + pageBytes) - offset)
        cached.get(number)?.set(part, from - at)
      }
    },
    transaction(work) {
      before = new Map()
      try {
        return work()
      } catch (error) {
        for (const [number, data] of before) data.copy(page(number))
        throw error
      } finally {
        before = undefined
      }
    },
    flush() {
      for (const number of [...dirty].sort((a, b) => a - b)) {
        writeFully(fd, page(number).subarray(0, lengthOf(number)), number * pageBytes)
      }
      dirty.clear()
      fsyncSync(fd)
    },
    close: () => closeSync(fd),
  }
}
