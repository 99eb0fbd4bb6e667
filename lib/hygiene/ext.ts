/**
 * Files of ext2, ext3 and ext4, as far as they are read: directories (those with an index read as plain ones),
 * files of extents or of block maps, links. Numbers are little-endian, offsets bytes.
 *
 * Left out: meta block groups and encryption, which nobody's installer makes; what is compressed or inline is
 * not read.
 * Source: Linux, Documentation/filesystems/ext4 ("Data Structures").
 */
import { BuildError } from '../cli/errors.ts'
import { kindOf, type ReadBytes, stepsOfFile, uuidText } from './bytes.ts'
import type { Node, Volume } from './files.ts'

const ROOT = 2
const INCOMPAT = { META_BG: 0x10, BITS_64: 0x80, ENCRYPT: 0x10000 }
const FLAGS = { EXTENTS: 0x80000, INLINE: 0x10000000 }
const EXTENT_MAGIC = 0xf30a
const DEEPEST = 5
/** A length above it says that the extent is reserved and not written. */
const LONGEST_WRITTEN = 32768
/** Bytes of a directory; the largest real ones have some MiB. */
const LARGEST_DIRECTORY = 64 << 20

/** Blocks that lie together: `first` counts from the volume's beginning, `at` from the file's. */
type Run = { at: number; first: number; count: number }

/** @throws {BuildError} for one that can't be read */
export function openExt(read: ReadBytes, start: number): Volume {
  const superblock = read(1024, 1024)
  const incompat = superblock.readUInt32LE(96)
  if (incompat & (INCOMPAT.META_BG | INCOMPAT.ENCRYPT)) {
    throw new BuildError('Cannot read the ext4 file system: it has meta block groups or encryption')
  }
  const blockBytes = 1024 << superblock.readUInt32LE(24)
  const perGroup = superblock.readUInt32LE(40)
  const inodes = superblock.readUInt32LE(0)
  const inodeBytes = superblock.readUInt32LE(76) === 0 ? 128 : superblock.readUInt16LE(88)
  // A step of no bytes would never come to an end.
  if (blockBytes < 1024 || blockBytes > 65536 || perGroup === 0 || inodeBytes < 128) {
    throw new BuildError('Cannot read the ext4 file system: its superblock is damaged')
  }
  const wide = (incompat & INCOMPAT.BITS_64) !== 0
  const descriptorBytes = wide ? superblock.readUInt16LE(254) : 32
  const descriptors = (superblock.readUInt32LE(20) + 1) * blockBytes

  const inode = (node: Node): Buffer => {
    if (node < 1 || node > inodes) throw new BuildError(`Cannot read inode ${node}: there is none`)
    const group = Math.floor((node - 1) / perGroup)
    const descriptor = read(descriptors + group * descriptorBytes, descriptorBytes)
    const table = descriptor.readUInt32LE(8) + (wide ? descriptor.readUInt32LE(0x28) * 2 ** 32 : 0)
    return read(table * blockBytes + ((node - 1) % perGroup) * inodeBytes, inodeBytes)
  }
  const sizeOf = (it: Buffer) => it.readUInt32LE(4) + it.readUInt32LE(108) * 2 ** 32
  /** A link that is short enough is where block numbers would be. */
  const isFast = (it: Buffer) =>
    kindOf(it.readUInt16LE(0)) === 'link' && sizeOf(it) < 60 && it.readUInt32LE(104) === 0

  function* extentRuns(area: Buffer, step = stepsOfFile(), most = DEEPEST): Generator<Run> {
    const depth = area.readUInt16LE(6)
    const count = area.readUInt16LE(2)
    if (area.readUInt16LE(0) !== EXTENT_MAGIC || depth > most) return
    for (let at = 12, n = 0; n < count && at + 12 <= area.length; at += 12, n++) {
      step()
      if (depth > 0) {
        const block = area.readUInt32LE(at + 4) + area.readUInt16LE(at + 8) * 2 ** 32
        yield* extentRuns(read(block * blockBytes, blockBytes), step, depth - 1)
        continue
      }
      const length = area.readUInt16LE(at + 4)
      if (length > LONGEST_WRITTEN) continue
      const first = area.readUInt32LE(at + 8) + area.readUInt16LE(at + 6) * 2 ** 32
      yield { at: area.readUInt32LE(at), first, count: length }
    }
  }

  /** Twelve blocks, and three trees of one level more each. */
  function* mappedRuns(map: Buffer, blocks: number): Generator<Run> {
    let at = 0
    const fan = blockBytes / 4
    const step = stepsOfFile()
    function* below(block: number, levels: number): Generator<Run> {
      if (at >= blocks) return
      step()
      if (block === 0) at += fan ** levels
      else if (levels === 0) yield { at: at++, first: block, count: 1 }
      else {
        const numbers = Buffer.from(read(block * blockBytes, blockBytes))
        for (let n = 0; n < fan && at < blocks; n++) {
          yield* below(numbers.readUInt32LE(n * 4), levels - 1)
        }
      }
    }
    for (let n = 0; n < 15; n++) yield* below(map.readUInt32LE(n * 4), Math.max(0, n - 11))
  }

  function runsOf(it: Buffer): Iterable<Run> {
    const flags = it.readUInt32LE(32)
    if (flags & FLAGS.INLINE || isFast(it)) return []
    const map = Buffer.from(it.subarray(40, 100))
    if (flags & FLAGS.EXTENTS) return extentRuns(map)
    return mappedRuns(map, Math.ceil(sizeOf(it) / blockBytes))
  }

  function content(it: Buffer, limit: number): Buffer {
    const bytes = Math.min(sizeOf(it), limit)
    if (isFast(it)) return Buffer.from(it.subarray(40, 40 + bytes))
    const whole = Buffer.alloc(bytes) // what no run covers is zeros
    for (const { at, first, count } of runsOf(it)) {
      const from = at * blockBytes
      if (from >= bytes) continue
      read(first * blockBytes, Math.min(count * blockBytes, bytes - from)).copy(whole, from)
    }
    return whole
  }

  const known = new Map<Node, ReadonlyMap<string, Node>>()
  return {
    root: ROOT,
    uuid: uuidText(superblock.subarray(104, 120)),
    label: superblock.toString('latin1', 120, 136).replace(/\0[^]*/, ''),
    stat(node) {
      const it = inode(node)
      const mode = it.readUInt16LE(0)
      const uid = it.readUInt16LE(2) + it.readUInt16LE(120) * 2 ** 16
      return { kind: kindOf(mode), bytes: sizeOf(it), mode: mode & 0o7777, uid }
    },
    entries(node) {
      const found = known.get(node) ?? new Map(namesIn(content(inode(node), LARGEST_DIRECTORY)))
      known.set(node, found)
      return found
    },
    read: (node, limit) => content(inode(node), limit),
    extents(node) {
      return [...runsOf(inode(node))].map(({ first, count }) => ({
        offset: start + first * blockBytes,
        length: count * blockBytes,
      }))
    },
  }

  /** Entries of a directory's blocks; those of an index look like free ones. */
  function* namesIn(directory: Buffer): Generator<[string, Node]> {
    for (let block = 0; block < directory.length; block += blockBytes) {
      for (let at = block; at + 8 <= block + blockBytes && at + 8 <= directory.length;) {
        const length = directory.readUInt16LE(at + 4)
        if (length < 8) break
        const name = directory.toString('latin1', at + 8, at + 8 + directory[at + 6]!)
        const node = directory.readUInt32LE(at)
        if (node !== 0 && name !== '.' && name !== '..') yield [name, node]
        at += length
      }
    }
  }
}
