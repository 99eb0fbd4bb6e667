/** Cylinder groups: maps and counts against what the inodes own. */
import type { Check } from './fsck.ts'

const NAMES = ['cs_ndir', 'cs_nbfree', 'cs_nifree', 'cs_nffree']

export function checkGroups(check: Check): void {
  const s = check.superblock
  const totals = [0, 0, 0, 0]
  const summary = check.read(s.summaryAt * s.fragmentBytes, s.summaryBytes)
  for (let group = 0; group < s.groups; group++) {
    const counts = checkGroup(check, group)
    counts.forEach((count, i) => {
      totals[i]! += count
      compare(
        check,
        `summary of group ${group}: ${NAMES[i]}`,
        summary.readInt32LE(group * 16 + i * 4),
        count,
      )
    })
  }
  const superblock = check.read(8192, 1376)
  totals.forEach((total, i) =>
    compare(check, `fs_cstotal: ${NAMES[i]}`, superblock.readInt32LE(192 + i * 4), total),
  )
}

function compare(check: Check, what: string, said: number, counted: number): void {
  if (said !== counted) check.report(`${what} is ${said}, counted ${counted}`)
}

type GroupTables = {
  header: Buffer
  name: string
  group: number
  /** First fragment, and how many there are. */
  base: number
  count: number
  cylinders: number
  /** A signed 32-bit number of the header. */
  int(at: number): number
  bit(mapAt: number, i: number): boolean
}

/** Check one group. @returns directories, free blocks, free inodes and free fragments in it */
function checkGroup(check: Check, group: number): number[] {
  const s = check.superblock
  const base = group * s.fragmentsPerGroup
  const start = base + s.shift * (group & ~s.mask)
  const count = Math.min(s.fragmentsPerGroup, s.fragments - base)
  const header = check.read((start + s.headerAt) * s.fragmentBytes, s.headerBytes)
  const tables: GroupTables = {
    header,
    name: `group ${group}`,
    group,
    base,
    count,
    cylinders: Math.ceil((count * s.sectorsPerFragment) / s.sectorsPerCylinder),
    int: (at) => header.readInt32LE(at),
    bit: (mapAt, i) => ((header[mapAt + Math.floor(i / 8)]! >> (i % 8)) & 1) === 1,
  }
  if (!checkHeader(check, tables)) return [0, 0, 0, 0]
  const { directories, freeInodes } = countInodes(check, tables)
  const { freeBlocks, freeFragments } = countFragments(check, tables)
  const counts = [directories, freeBlocks, freeInodes, freeFragments]
  counts.forEach((counted, i) =>
    compare(check, `${tables.name}: ${NAMES[i]}`, tables.int(24 + 4 * i), counted),
  )
  return counts
}

/** @returns whether the tables are where tables can be */
function checkHeader(check: Check, { header, name, group, count, cylinders, int }: GroupTables) {
  const s = check.superblock
  if (int(4) !== 0x090255) check.report(`${name}: cg_magic is 0x${int(4).toString(16)}`)
  compare(check, `${name}: cg_cgx`, int(12), group)
  // Early versions of newfs gave a last group that is full the rest of a division, 0.
  const isZero = header.readInt16LE(16) === 0 && group === s.groups - 1
  if (!isZero || cylinders !== s.cylindersPerGroup) {
    compare(check, `${name}: cg_ncyl`, header.readInt16LE(16), cylinders)
  }
  compare(check, `${name}: cg_niblk`, header.readInt16LE(18), s.inodesPerGroup)
  compare(check, `${name}: cg_ndblk`, int(20), count)
  for (const [rotor, at, limit] of [
    ['cg_rotor', 40, count],
    ['cg_frotor', 44, count],
    ['cg_irotor', 48, s.inodesPerGroup],
  ] as const) {
    if (int(at) < 0 || int(at) >= limit) check.report(`${name}: ${rotor} is ${int(at)}`)
  }
  const [totalsAt, positionsAt, usedAt, freeAt] = [int(84), int(88), int(92), int(96)]
  const ends = [
    168,
    totalsAt,
    totalsAt + 4 * cylinders,
    positionsAt,
    positionsAt + 2 * cylinders * s.rotationalPositions,
    usedAt,
    usedAt + Math.ceil(s.inodesPerGroup / 8),
    freeAt,
    freeAt + Math.ceil(count / 8),
    s.headerBytes,
  ]
  const inOrder = ends.every((end, i) => i === 0 || end >= ends[i - 1]!)
  if (!inOrder) check.report(`${name}: its tables overlap`)
  return inOrder
}

function countInodes(check: Check, { name, group, int, bit }: GroupTables) {
  const { inodesPerGroup } = check.superblock
  let directories = 0
  let freeInodes = 0
  for (let i = 0; i < inodesPerGroup; i++) {
    const number = group * inodesPerGroup + i
    const inode = check.inodes.get(number)
    if (inode?.mode === 0x4000) directories++
    const used = inode !== undefined || number < 2
    if (!used) freeInodes++
    if (used !== bit(int(92), i)) {
      check.report(`${name}: inode ${number} is ${used ? 'used' : 'free'}, not so in cg_iused`)
    }
  }
  return { directories, freeInodes }
}

function countFragments(check: Check, tables: GroupTables) {
  const { header, name, base, count, cylinders, int, bit } = tables
  const s = check.superblock
  const perBlock = s.fragmentsPerBlock
  const runs = new Array<number>(9).fill(0)
  const perCylinder = new Array<number>(cylinders).fill(0)
  const perPosition = new Array<number>(cylinders * s.rotationalPositions).fill(0)
  let freeBlocks = 0
  let freeFragments = 0
  for (let first = 0; first < count; first += perBlock) {
    let free = 0
    let run = 0
    const ended: number[] = []
    for (let i = first; i < first + perBlock; i++) {
      const isFree = i < count && check.owners[base + i] === 0
      if (i < count && isFree !== bit(int(96), i)) {
        const what = isFree ? 'free' : 'used'
        check.report(`${name}: fragment ${base + i} is ${what}, not so in cg_blksfree`)
      }
      if (isFree) {
        free++
        run++
      } else {
        ended.push(run)
        run = 0
      }
    }
    ended.push(run)
    if (free === perBlock) {
      const sector = first * s.sectorsPerFragment
      const cylinder = Math.floor(sector / s.sectorsPerCylinder)
      const inTrack = (sector % s.sectorsPerCylinder) % s.sectorsPerTrack
      const position = Math.floor((inTrack * s.rotationalPositions) / s.sectorsPerTrack)
      freeBlocks++
      perCylinder[cylinder]!++
      perPosition[cylinder * s.rotationalPositions + position]!++
    } else {
      freeFragments += free
      for (const length of ended) runs[length]!++
    }
  }
  for (let k = 1; k < perBlock; k++) {
    compare(check, `${name}: cg_frsum[${k}]`, int(52 + 4 * k), runs[k]!)
  }
  perCylinder.forEach((blocks, i) =>
    compare(check, `${name}: cg_btot[${i}]`, int(int(84) + 4 * i), blocks),
  )
  perPosition.forEach((blocks, i) =>
    compare(check, `${name}: cg_b[${i}]`, header.readInt16LE(int(88) + 2 * i), blocks),
  )
  return { freeBlocks, freeFragments }
}
