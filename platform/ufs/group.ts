/**
 * Cylinder groups: their headers, checked when first used, and the counts of what is free.
 *
 * A header has, besides its counts, a map of free fragments (bit set: free), a map of inodes (bit set:
 * used), and for each cylinder the number of free blocks, in total and by rotational position. The
 * counts of a group are kept three times: in its header, in the summary of all groups, and added up
 * in the superblock. Source: illumos, sys/fs/ufs_fs.h (struct cg, struct csum).
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { wrongCount } from './group-counts.ts'
import { groupBase, groupFragments, groupStart, offsetInPage, pageOf } from './layout.ts'
import type { Pages } from './pages.ts'
import { SUPERBLOCK_AT, type Superblock, TOTALS_AT } from './superblock.ts'

export const COUNTS_AT = 24
export const BLOCK_ROTOR_AT = 40
export const FRAGMENT_ROTOR_AT = 44
export const INODE_ROTOR_AT = 48
/** Numbers of free runs by length, for lengths 1 to 7. */
export const RUNS_AT = 52

const MAGIC = 0x090255
const MAPS_AT = 168

export type Group = {
  index: number
  /** Address of its first fragment. */
  base: number
  fragments: number
  /** Page of the header, which begins it. */
  page: number
  /** Places of the tables in the header, in bytes. */
  totalsAt: number
  positionsAt: number
  inodeMapAt: number
  freeMapAt: number
}

export type Volume = {
  pages: Pages
  superblock: Superblock
  /** Groups read so far. */
  groups: Map<number, Group>
  /** The time that changed files and headers get. */
  nowSeconds: number
  /** The file whose content was not written though its space was taken: the image is not to be used. */
  torn: string | undefined
}

/** What is free, and how many directories there are, in the order of `struct csum`. */
export type Counts = { directories: number; blocks: number; inodes: number; fragments: number }

export function readCounts(data: Buffer, at: number): Counts {
  return {
    directories: data.readInt32LE(at),
    blocks: data.readInt32LE(at + 4),
    inodes: data.readInt32LE(at + 8),
    fragments: data.readInt32LE(at + 12),
  }
}

const same = (a: Counts, b: Counts) =>
  a.directories === b.directories &&
  a.blocks === b.blocks &&
  a.inodes === b.inodes &&
  a.fragments === b.fragments

/** Page and place of a group's counts in the summary of all groups. */
function summaryPlace(s: Superblock, group: number): { page: number; at: number } {
  const byte = s.summaryAt * s.fragmentBytes + group * 16
  return { page: Math.floor(byte / s.blockBytes), at: byte % s.blockBytes }
}

/** A group's header. @throws {BuildError} when it contradicts the superblock or the summary */
export function groupAt(volume: Volume, index: number): Group {
  const known = volume.groups.get(index)
  if (known) return known
  const s = volume.superblock
  const address = groupStart(s, index) + s.headerAt
  const page = pageOf(s, address)
  const header = volume.pages.page(page)
  const at = (offset: number) => header.readInt32LE(offset)
  const group: Group = {
    index,
    base: groupBase(s, index),
    fragments: groupFragments(s, index),
    page,
    totalsAt: at(84),
    positionsAt: at(88),
    inodeMapAt: at(92),
    freeMapAt: at(96),
  }
  const { totalsAt, positionsAt, inodeMapAt, freeMapAt } = group
  const cylinders = s.cylindersPerGroup
  const summary = summaryPlace(s, index)
  const rules: [string, boolean][] = [
    ['its address is not that of a block', offsetInPage(s, address) === 0],
    [`the magic number is 0x${at(4).toString(16)}`, at(4) === MAGIC],
    [`it says that it is group ${at(12)}`, at(12) === index],
    [`cg_niblk is ${header.readInt16LE(18)}`, header.readInt16LE(18) === s.inodesPerGroup],
    [`cg_ndblk is ${at(20)}`, at(20) === group.fragments],
    [`cg_btotoff is ${totalsAt}`, totalsAt >= MAPS_AT && totalsAt % 4 === 0],
    [`cg_boff is ${positionsAt}`, positionsAt >= totalsAt + 4 * cylinders],
    [
      `cg_iusedoff is ${inodeMapAt}`,
      inodeMapAt >= positionsAt + 2 * cylinders * s.rotationalPositions,
    ],
    [`cg_freeoff is ${freeMapAt}`, freeMapAt >= inodeMapAt + Math.ceil(s.inodesPerGroup / 8)],
    [`cg_freeoff is ${freeMapAt}`, freeMapAt + Math.ceil(group.fragments / 8) <= s.headerBytes],
    [
      'its counts differ from those in the summary',
      same(readCounts(header, COUNTS_AT), readCounts(volume.pages.page(summary.page), summary.at)),
    ],
  ]
  const wrong = rules.find(([, holds]) => !holds)?.[0] ?? wrongCount(s, group, header)
  if (wrong) {
    throw new BuildError(`Cannot use cylinder group ${index} of "${volume.pages.path}": ${wrong}`)
  }
  volume.groups.set(index, group)
  return group
}

/** Cylinder and rotational position of a block, for the tables of free blocks. */
export function rotation(s: Superblock, block: number): { cylinder: number; position: number } {
  const sector = block * s.fragmentsPerBlock * s.sectorsPerFragment
  const inTrack = (sector % s.sectorsPerCylinder) % s.sectorsPerTrack
  return {
    cylinder: Math.floor(sector / s.sectorsPerCylinder),
    position: Math.floor((inTrack * s.rotationalPositions) / s.sectorsPerTrack),
  }
}

export const countsOf = (volume: Volume, group: Group) =>
  readCounts(volume.pages.page(group.page), COUNTS_AT)

/** The superblock's counts: sums over all groups. */
export function totals(volume: Volume): Counts {
  const { blockBytes } = volume.superblock
  const page = volume.pages.page(Math.floor(SUPERBLOCK_AT / blockBytes))
  return readCounts(page, (SUPERBLOCK_AT % blockBytes) + TOTALS_AT)
}

const ORDER = ['directories', 'blocks', 'inodes', 'fragments'] as const

/** Add to a group's counts in all three places. */
export function addCounts(volume: Volume, group: Group, change: Partial<Counts>): void {
  const { pages, superblock: s, nowSeconds } = volume
  const header = pages.change(group.page)
  header.writeInt32LE(nowSeconds, 8) // cg_time
  const place = summaryPlace(s, group.index)
  const summary = pages.change(place.page)
  const super_ = pages.change(Math.floor(SUPERBLOCK_AT / s.blockBytes))
  const totalsAt = (SUPERBLOCK_AT % s.blockBytes) + TOTALS_AT
  const add = (data: Buffer, at: number, amount: number) =>
    data.writeInt32LE(data.readInt32LE(at) + amount, at)
  ORDER.forEach((name, i) => {
    const amount = change[name] ?? 0
    if (amount === 0) return
    add(header, COUNTS_AT + 4 * i, amount)
    add(summary, place.at + 4 * i, amount)
    add(super_, totalsAt + 4 * i, amount)
  })
}
