/**
 * Bytes of a disk or a file, a few at a time and in any order, as readers of file systems want them. Whole
 * pages are read and some kept: inodes lie beside each other, and raw devices give whole sectors alone.
 */
import { readSync } from 'node:fs'
import { BuildError } from '../cli/errors.ts'

/** Bytes from an offset; what lies behind the end are zeros. Who gets them does not write to them. */
export type ReadBytes = (offset: number, length: number) => Buffer

const PAGE = 64 << 10
/** Pages that are kept: 16 MiB. */
const MOST_PAGES = 256

/** @param descriptor stays open as long as it is read */
export function pagedBytes(descriptor: number): ReadBytes {
  const pages = new Map<number, Buffer>()
  const page = (number: number): Buffer => {
    const known = pages.get(number)
    if (known) return known
    const fresh = Buffer.alloc(PAGE)
    for (let done = 0; done < PAGE;) {
      const got = readSync(descriptor, fresh, done, PAGE - done, number * PAGE + done)
      if (got === 0) break
      done += got
    }
    if (pages.size >= MOST_PAGES) pages.delete(pages.keys().next().value!)
    pages.set(number, fresh)
    return fresh
  }
  return (offset, length) => {
    const first = Math.floor(offset / PAGE)
    const at = offset - first * PAGE
    if (at + length <= PAGE) return page(first).subarray(at, at + length)
    const whole = Buffer.allocUnsafe(length)
    for (let done = 0; done < length;) {
      const number = Math.floor((offset + done) / PAGE)
      const from = offset + done - number * PAGE
      done += page(number).copy(whole, done, from, Math.min(PAGE, from + length - done))
    }
    return whole
  }
}

/** Blocks and pieces of one file: more are a ring, in a damaged file system. */
const MOST_STEPS = 1 << 20

/** Counts what is done for one file. @throws {BuildError} when that has no end */
export function stepsOfFile(): () => void {
  let left = MOST_STEPS
  return () => {
    if (--left < 0) throw new BuildError('Cannot read a file: its file system is damaged')
  }
}

/** The reader of a part: offsets count from where it begins. */
export const partOf =
  (read: ReadBytes, start: number): ReadBytes =>
  (offset, length) =>
    read(start + offset, length)

/** Sixteen bytes as /etc/fstab writes them. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return [8, 12, 16, 20, 32].map((end, i) => hex.slice([0, 8, 12, 16, 20][i], end)).join('-')
}

/** What a file's mode says that it is. */
export function kindOf(mode: number) {
  const kinds = new Map([
    [0o040000, 'directory'],
    [0o100000, 'file'],
    [0o120000, 'link'],
  ] as const)
  return kinds.get((mode & 0o170000) as 0o040000) ?? 'other'
}
