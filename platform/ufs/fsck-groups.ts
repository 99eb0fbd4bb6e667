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

/** Check one group. @returns directories, free blocks, free inodes and free fragments in it */
function checkGroup(check: Check, group: number): number[] {
  const s = check.superblock
  const base = group * s.fragmentsPerGroup
  const start = base + s.shift * (group & ~s.mask)
  const count = Math.min(s.fragmentsPerGroup, s.fragments - base)
  const header = check.read((start + s.headerAt) * s.fragmentBytes, s.headerBytes)
  const name = `group ${group}`
  const int = (at: number) => header.readInt32LE(at)
  if (int(4) !== 0x090255) check.report(`${name}: cg_magic is 0x${int(4).toString(16)}`)
  compare(check, `${name}: cg_cgx`, int(12), group)
  const cylinders = Math.ceil((count * s.sectorsPerFragment) / s.sectorsPerCylinder)
  compare(check, `${name}: cg_ncyl`, header.readInt16LE(16), cylinders)
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
  if (ends.some((end, i) => i > 0 && end < ends[i - 1]!)) {
    check.report(`${name}: its tables overlap`)
    return [0, 0, 0, 0]
  }
  const bit = (at: number, i: number) => (header[at + Math.floor(i / 8)]! >> (i % 8)) & 1

  // Inodes
  let directories = 0
  let freeInodes = 0
  for (let i = 0; i < s.inodesPerGroup; i++) {
    const number = group * s.inodesPerGroup + i
    const inode = check.inodes.get(number)
    if (inode?.mode === 0x4000) directories++
    const used = inode !== undefined || number < 2
    if (!used) freeInodes++
    if (used !== (bit(usedAt, i) === 1)) {
      check.report(`${name}: inode ${number} is ${used ? 'used' : 'free'}, not so in cg_iused`)
    }
  }

  // Fragments
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
      if (i < count && isFree !== (bit(freeAt, i) === 1)) {
        check.report(
          `${name}: fragment ${base + i} is ${isFree ? 'free' : 'used'}, not so in cg_blksfree`,
        )
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
    compare(check, `${name}: cg_btot[${i}]`, int(totalsAt + 4 * i), blocks),
  )
  perPosition.forEach((blocks, i) =>
    compare(check, `${name}: cg_b[${i}]`, header.readInt16LE(positionsAt + 2 * i), blocks),
  )
  const counts = [directories, freeBlocks, freeInodes, freeFragments]
  counts.forEach((counted, i) => compare(check, `${name}: ${NAMES[i]}`, int(24 + 4 * i), counted))
  return counts
}
