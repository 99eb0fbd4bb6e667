/** A disk that is compared with another, and the parts that both have. */
import { BuildError } from '../cli/errors.ts'
import type { Scope } from '../cli/scope.ts'
import { findRoot, type RootPlace } from '../disk/root-place.ts'
import { type OpenDisk, openDisk, type Range } from './byte-ranges.ts'
import { type Difference, notCompared, type Part } from './difference.ts'
import { mountOf } from './ext.ts'
import { readTable, type Region, regionsOf, type Table } from './partitions.ts'

export type CompareOptions = { ignoreTimes: boolean; diff: boolean }

/** One of the two. */
export type Side = {
  disk: OpenDisk
  table: Table
  regions: Region[]
  /** The root file system, to the end of what it is on; the reason where none was found. */
  root: (RootPlace & { length: number; region: string }) | { why: string }
  /** The image's own name, for messages, and a directory for what is made of it. */
  shown: string
  work: string
}

/** Look at a disk. @throws {BuildError} when it can't be read */
export async function lookAtDisk(
  path: string,
  shown: string,
  work: string,
  scope: Scope,
): Promise<Side> {
  const disk = await openDisk(path)
  scope.defer(`Close ${path}`, () => disk.file.close())
  const table = await readTable(path)
  const regions = regionsOf(table, disk.bytes)
  return { disk, table, regions, root: await rootOf(path, regions, shown), shown, work }
}

async function rootOf(path: string, regions: Region[], shown: string): Promise<Side['root']> {
  try {
    const { offset, kind } = await findRoot(path)
    const region = regions.findLast((one) => one.offset <= offset)!
    return { offset, kind, length: region.offset + region.length - offset, region: region.name }
  } catch (error) {
    if (!(error instanceof BuildError) || error.exitStatus !== 1) throw error
    return { why: error.message.replaceAll(path, shown) }
  }
}

/** A part of both disks, and where it differs. */
export type Pair = { a: Region; b: Region; ranges: Range[] }

export function bytesDiffer({ a, ranges }: Pair): Difference[] {
  return ranges.length === 0 ? [] : [{ kind: 'bytes', what: a.name, change: 'changed', ranges }]
}

/**
 * A reason why something can't be read, as a part; errors of this machine or the operator's wish pass.
 *
 * @param sides those whose disks or mounts it may speak of: by paths of ours, which tell an operator nothing
 */
export function unreadable(part: string, error: unknown, sides: readonly Side[]): Part {
  if (!(error instanceof BuildError) || error.exitStatus !== 1) throw error
  const says = sides.reduce(
    (text, { disk, shown, work }) =>
      text.replaceAll(disk.path, shown).replaceAll(mountOf(work), shown),
    error.message,
  )
  return notCompared(part, says)
}

/** What both come to, when both have ended: what one has made is not taken away while the other is at work. */
export async function both<T>(a: Promise<T>, b: Promise<T>): Promise<readonly [T, T]> {
  const [one, other] = await Promise.allSettled([a, b])
  if (one.status === 'rejected') throw one.reason
  if (other.status === 'rejected') throw other.reason
  return [one.value, other.value]
}
