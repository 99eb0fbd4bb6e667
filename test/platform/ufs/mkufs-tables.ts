/** The tables of images that mkufs makes: superblock, cylinder groups, inodes. */
import type { Geometry } from './mkufs.ts'

const roundUp = (value: number, unit: number) => Math.ceil(value / unit) * unit

/** Everything that follows from the geometry, in fragments where not said otherwise. */
export function layoutOf(geometry: Geometry) {
  const {
    bytes,
    blockBytes = 4096,
    fragmentBytes = 1024,
    bytesPerInode = 12248,
    sectorsPerTrack = 600,
    tracks = 1,
    cylindersPerGroup = 16,
    rotationalPositions = 8,
    nowSeconds = 1367883000,
  } = geometry
  const perBlock = blockBytes / fragmentBytes
  const perFragment = fragmentBytes / 512
  const perCylinder = sectorsPerTrack * tracks
  const perGroup = (cylindersPerGroup * perCylinder) / perFragment
  if (!Number.isInteger(perGroup / perBlock)) throw new Error('mkufs: groups of broken blocks')
  let cylinders = Math.floor(bytes / 512 / perCylinder)
  const superblockAt = roundUp(Math.ceil(16384 / fragmentBytes), perBlock)
  const headerAt = superblockAt + roundUp(Math.ceil(8192 / fragmentBytes), perBlock)
  const inodesAt = headerAt + perBlock
  const inodesPerBlock = blockBytes / 128
  // mkfs leaves its own tables out of the space that gets inodes, counted with the most inodes there are.
  const cylinderInodes = roundUp((perCylinder * 512) / 128, inodesPerBlock)
  const mostInodes = Math.min(cylinderInodes, roundUp((blockBytes * 8) / 3, inodesPerBlock))
  const tableBytes = inodesAt * fragmentBytes + mostInodes * 128
  const forInodes = Math.max(perGroup * fragmentBytes - tableBytes, bytesPerInode)
  const inodesPerGroup = roundUp(Math.floor(forInodes / bytesPerInode), inodesPerBlock)
  const dataAt = inodesAt + (inodesPerGroup / inodesPerBlock) * perBlock
  const shift = tracks === 1 ? 0 : roundUp(Math.ceil(sectorsPerTrack / perFragment), perBlock)
  const mask = -tracks
  // A last group that would not hold its own tables is left out.
  const least = dataAt + shift * (tracks - 1) + perBlock
  let fragments = Math.floor((cylinders * perCylinder) / perFragment)
  if (fragments % perGroup !== 0 && fragments % perGroup < least) {
    fragments -= fragments % perGroup
    cylinders = Math.floor((fragments * perFragment) / perCylinder)
  }
  const groups = Math.ceil(fragments / perGroup)
  if (groups === 0) throw new Error(`mkufs: ${bytes} bytes are too few`)
  const summaryBytes = roundUp(groups * 16, fragmentBytes)
  const totalsAt = 168
  const positionsAt = totalsAt + 4 * cylindersPerGroup
  const inodeMapAt = positionsAt + 2 * cylindersPerGroup * rotationalPositions
  const freeMapAt = inodeMapAt + Math.ceil(inodesPerGroup / 8)
  const headerEnd = freeMapAt + Math.ceil(perGroup / 8)
  if (headerEnd > blockBytes) throw new Error('mkufs: a group is too large for its header')
  const start = (group: number) => group * perGroup + shift * (group % tracks)
  return {
    blockBytes,
    fragmentBytes,
    perBlock,
    perFragment,
    perCylinder,
    perGroup,
    cylinders,
    cylindersPerGroup,
    rotationalPositions,
    nowSeconds,
    sectorsPerTrack,
    tracks,
    superblockAt,
    headerAt,
    inodesAt,
    inodesPerBlock,
    inodesPerGroup,
    dataAt,
    shift,
    mask,
    fragments,
    groups,
    summaryBytes,
    totalsAt,
    positionsAt,
    inodeMapAt,
    freeMapAt,
    headerEnd,
    start,
    headerBytes: roundUp(headerEnd, fragmentBytes),
    pointers: blockBytes / 4,
    /** Fragments that belong to no file. */
    markTables(used: Uint8Array) {
      for (let group = 0; group < groups; group++) {
        used.fill(1, group === 0 ? 0 : start(group) + superblockAt, start(group) + dataAt)
      }
      used.fill(1, dataAt, dataAt + summaryBytes / fragmentBytes)
    },
  }
}
export type Layout = ReturnType<typeof layoutOf>

/** All tables with their addresses, counted from what is in use. */
export function* tablesOf(
  layout: Layout,
  used: Uint8Array,
  inodes: Map<number, Buffer>,
): Generator<{ address: number; data: Buffer }> {
  const summary = Buffer.alloc(layout.summaryBytes)
  for (let group = 0; group < layout.groups; group++) {
    const table = Buffer.alloc(layout.inodesPerGroup * 128)
    const own: number[] = []
    for (let i = 0; i < layout.inodesPerGroup; i++) {
      const number = group * layout.inodesPerGroup + i
      const inode = inodes.get(number)
      if (inode) inode.copy(table, i * 128)
      else table.writeInt32LE((number * 2654435761) | 0, i * 128 + 108) // generations are random
      if (inode || number < 2) own.push(i)
    }
    const directories = own.filter((i) => (table.readUInt16LE(i * 128) & 0xf000) === 0x4000).length
    const header = headerOf(layout, used, group, own, directories)
    header.copy(summary, group * 16, 24, 40)
    yield { address: layout.start(group) + layout.inodesAt, data: table }
    yield { address: layout.start(group) + layout.headerAt, data: header }
  }
  yield { address: layout.dataAt, data: summary }
  const superblock = superblockOf(layout, summary)
  yield { address: 8192 / layout.fragmentBytes, data: superblock }
  for (let group = 0; group < layout.groups; group++) {
    yield { address: layout.start(group) + layout.superblockAt, data: superblock }
  }
}

function headerOf(
  layout: Layout,
  used: Uint8Array,
  group: number,
  own: number[],
  directories: number,
) {
  const { perBlock, perFragment, perCylinder, sectorsPerTrack, rotationalPositions } = layout
  const header = Buffer.alloc(layout.headerBytes)
  const base = group * layout.perGroup
  const count = Math.min(layout.perGroup, layout.fragments - base)
  const add = (at: number) => header.writeInt32LE(header.readInt32LE(at) + 1, at)
  header.writeInt32LE(0x090255, 4)
  header.writeInt32LE(layout.nowSeconds, 8)
  header.writeInt32LE(group, 12)
  header.writeInt16LE(Math.ceil((count * perFragment) / perCylinder), 16)
  header.writeInt16LE(layout.inodesPerGroup, 18)
  header.writeInt32LE(count, 20)
  header.writeInt32LE(directories, 24)
  header.writeInt32LE(layout.inodesPerGroup - own.length, 32)
  header.writeInt32LE(layout.totalsAt, 84)
  header.writeInt32LE(layout.positionsAt, 88)
  header.writeInt32LE(layout.inodeMapAt, 92)
  header.writeInt32LE(layout.freeMapAt, 96)
  header.writeInt32LE(layout.headerEnd, 100)
  for (const i of own) header[layout.inodeMapAt + (i >> 3)]! |= 1 << (i & 7)
  for (let first = 0; first < count; first += perBlock) {
    const free: boolean[] = []
    for (let i = first; i < Math.min(first + perBlock, count); i++) {
      free.push(used[base + i] === 0)
      if (used[base + i] === 0) header[layout.freeMapAt + (i >> 3)]! |= 1 << (i & 7)
    }
    if (free.length === perBlock && free.every(Boolean)) {
      const sector = first * perFragment
      const cylinder = Math.floor(sector / perCylinder)
      const position = Math.floor(
        (((sector % perCylinder) % sectorsPerTrack) * rotationalPositions) / sectorsPerTrack,
      )
      const at = layout.positionsAt + 2 * (cylinder * rotationalPositions + position)
      add(28)
      add(layout.totalsAt + 4 * cylinder)
      header.writeInt16LE(header.readInt16LE(at) + 1, at)
      continue
    }
    const text = free.map((one) => (one ? '1' : '0')).join('')
    for (const run of text.split('0').filter(Boolean)) {
      add(52 + 4 * run.length)
      header.writeInt32LE(header.readInt32LE(36) + run.length, 36)
    }
  }
  return header
}

function superblockOf(layout: Layout, summary: Buffer): Buffer {
  const data = Buffer.alloc(2048)
  const shiftOf = (value: number) => Math.log2(value)
  const { blockBytes, fragmentBytes, perBlock, nowSeconds } = layout
  const totals = [0, 0, 0, 0]
  for (let at = 0; at < layout.groups * 16; at += 4)
    totals[(at / 4) % 4]! += summary.readInt32LE(at)
  const dataFragments = layout.fragments - layout.groups * (layout.dataAt - layout.superblockAt)
  const fields: [at: number, value: number][] = [
    [8, layout.superblockAt],
    [12, layout.headerAt],
    [16, layout.inodesAt],
    [20, layout.dataAt],
    [24, layout.shift],
    [28, layout.mask],
    [32, nowSeconds],
    [36, layout.fragments],
    [40, dataFragments - layout.superblockAt - layout.summaryBytes / fragmentBytes],
    [44, layout.groups],
    [48, blockBytes],
    [52, fragmentBytes],
    [56, perBlock],
    [60, 0],
    [64, 0],
    [68, 60],
    [72, -blockBytes],
    [76, -fragmentBytes],
    [80, shiftOf(blockBytes)],
    [84, shiftOf(fragmentBytes)],
    [88, 1],
    [92, blockBytes / 4],
    [96, shiftOf(perBlock)],
    [100, shiftOf(layout.perFragment)],
    [104, roundUp(2048, fragmentBytes)],
    [108, -blockBytes],
    [112, shiftOf(blockBytes)],
    [116, blockBytes / 4],
    [120, layout.inodesPerBlock],
    [124, layout.perFragment],
    [128, 1],
    [132, (0x7c269d38 - nowSeconds) | 0],
    [136, 0],
    [140, 0],
    [144, 0x5ca1ab1e],
    [148, 0x1e57],
    [152, layout.dataAt],
    [156, layout.summaryBytes],
    [160, layout.headerBytes],
    [164, layout.tracks],
    [168, layout.sectorsPerTrack],
    [172, layout.perCylinder],
    [176, layout.cylinders],
    [180, layout.cylindersPerGroup],
    [184, layout.inodesPerGroup],
    [188, layout.perGroup],
    [192, totals[0]!],
    [196, totals[1]!],
    [200, totals[2]!],
    [204, totals[3]!],
    [856, 0],
    [1336, layout.sectorsPerTrack],
    [1356, 1],
    [1360, layout.rotationalPositions],
    [1364, 1376],
    [1368, 1376],
    [1372, 0x00011954],
  ]
  for (const [at, value] of fields) data.writeInt32LE(value, at)
  data[209] = 1 // clean
  data.write('/', 212)
  data.writeBigUInt64LE(BigInt(blockBytes - 1), 1340)
  data.writeBigUInt64LE(BigInt(fragmentBytes - 1), 1348)
  return data
}
