/**
 * Which bytes of two disks differ, region against region, so that a partition that is longer or somewhere else is
 * still compared with its counterpart. Offsets count from the regions' beginnings; what lies in holes of both files
 * is not read.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { explain } from '../cli/errors.ts'
import { stopSignal } from '../cli/session.ts'
import { allocatedExtents } from '../disk/extents.ts'
import type { Extent } from '../zfs/write.ts'

/** A part of a disk, in bytes. */
export type Range = { offset: number; length: number }

/** A raw disk that is open. */
export type OpenDisk = {
  path: string
  bytes: number
  file: FileHandle
  /** Where there may be anything but zeros. */
  extents: readonly Extent[]
}

/** @throws {BuildError} when it can't be read */
export async function openDisk(path: string): Promise<OpenDisk> {
  try {
    const file = await open(path, 'r')
    const { size } = await file.stat()
    return { path, bytes: size, file, extents: await allocatedExtents(path) }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}

/** Bytes compared at once, and the grain of what is told: a file system's blocks, mostly. */
const READ = 1 << 20
const GRAIN = 4096

/**
 * Where the common length of two regions differs, ascending, neighbours joined.
 *
 * @param onBytes hears the bytes that were looked at
 */
export async function differingRanges(
  a: { disk: OpenDisk; region: Range },
  b: { disk: OpenDisk; region: Range },
  onBytes: (bytes: number) => void = () => {},
): Promise<Range[]> {
  const length = Math.min(a.region.length, b.region.length)
  const found: Range[] = []
  const buffers = [Buffer.alloc(READ), Buffer.alloc(READ)] as const
  for (const { offset, length: part } of union([within(a), within(b)], length)) {
    for (let at = offset; at < offset + part; at += READ) {
      stopSignal().throwIfAborted()
      const bytes = Math.min(READ, offset + part - at)
      const [one, other] = [buffers[0].subarray(0, bytes), buffers[1].subarray(0, bytes)]
      await readFully(a.disk, one, a.region.offset + at)
      await readFully(b.disk, other, b.region.offset + at)
      if (!one.equals(other)) addDiffering(found, one, other, at)
      onBytes(bytes)
    }
  }
  return found
}

/** Data extents of a disk that lie in a region, from its beginning. */
function within({ disk, region }: { disk: OpenDisk; region: Range }): Range[] {
  const end = region.offset + region.length
  return disk.extents.flatMap(({ offset, length }) => {
    const from = Math.max(offset, region.offset)
    const to = Math.min(offset + length, end)
    return from < to ? [{ offset: from - region.offset, length: to - from }] : []
  })
}

/** What any of the lists covers, up to `end`. */
export function union(lists: readonly (readonly Range[])[], end: number): Range[] {
  const joined: Range[] = []
  for (const { offset, length } of lists.flat().sort((a, b) => a.offset - b.offset)) {
    const to = Math.min(offset + length, end)
    const last = joined.at(-1)
    if (last && offset <= last.offset + last.length) {
      last.length = Math.max(last.length, to - last.offset)
    } else if (offset < to) joined.push({ offset, length: to - offset })
  }
  return joined
}

/** A region may reach beyond the end of a disk whose table lies: that reads as zeros. */
async function readFully({ path, file }: OpenDisk, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file
      .read(into, done, into.length - done, position + done)
      .catch((error: unknown) => {
        throw explain(`read "${path}"`, error)
      })
    if (bytesRead === 0) {
      into.fill(0, done)
      return
    }
    done += bytesRead
  }
}

function addDiffering(found: Range[], one: Buffer, other: Buffer, at: number): void {
  for (let from = 0; from < one.length; from += GRAIN) {
    const to = Math.min(from + GRAIN, one.length)
    if (one.subarray(from, to).equals(other.subarray(from, to))) continue
    // To the byte where it begins and ends: a boot sector or a header is smaller than the grain.
    let first = from
    while (one[first] === other[first]) first++
    let last = to - 1
    while (one[last] === other[last]) last--
    const before = found.at(-1)
    if (before && at + first - (before.offset + before.length) < GRAIN) {
      before.length = at + last + 1 - before.offset
    } else found.push({ offset: at + first, length: last + 1 - first })
  }
}
