/**
 * Files of XFS, of version 4 and 5: inodes whose content is in them, in extents or in a tree of extents;
 * directories of all forms, of which the data is read and the index is not. Numbers are big-endian, offsets
 * bytes; a block number of the file system has the allocation group in its upper bits.
 *
 * Left out: a realtime section, where no system keeps files of its own.
 * Source: "XFS Algorithms & Data Structures" (xfs-documentation), on-disk inode, data extents, directories.
 */
import { BuildError } from '../cli/errors.ts'
import { kindOf, type ReadBytes, stepsOfFile, uuidText } from './bytes.ts'
import type { Node, Volume } from './files.ts'

const FORMAT = { LOCAL: 1, EXTENTS: 2, TREE: 3 }
/** Behind it the index of a directory begins. */
const DATA_END = 2 ** 35
const LARGEST_DIRECTORY = 64 << 20
const DEEPEST = 8
const LINK_HEADER = 56
/** In an inode's second flags: counts of extents are wide. */
const WIDE_COUNTS = 1n << 4n

type Run = { at: number; first: number; count: number }

/** @throws {BuildError} for one that can't be read */
export function openXfs(read: ReadBytes, start: number): Volume {
  const sb = read(0, 512)
  const blockBytes = sb.readUInt32BE(4)
  const groupBlocks = sb.readUInt32BE(84)
  const five = (sb.readUInt16BE(100) & 0xf) === 5
  const inodeBytes = sb.readUInt16BE(104)
  const [inodesLog, groupLog, directoryLog] = [sb[123]!, sb[124]!, sb[192]!]
  const typed = five ? (sb.readUInt32BE(216) & 1) !== 0 : (sb.readUInt32BE(200) & 0x200) !== 0
  const directoryBytes = blockBytes << directoryLog
  const blockAt = (block: number) => {
    const group = Math.floor(block / 2 ** groupLog)
    return (group * groupBlocks + (block - group * 2 ** groupLog)) * blockBytes
  }
  const fork = five ? 176 : 100
  const isSize = (bytes: number) =>
    bytes >= 256 && bytes <= 65536 && Number.isInteger(Math.log2(bytes))
  // A step of no bytes would never come to an end.
  if (![blockBytes, inodeBytes, directoryBytes].every(isSize) || groupBlocks === 0) {
    throw new BuildError('Cannot read the XFS file system: its superblock is damaged')
  }

  const inode = (node: Node): Buffer => {
    const at = blockAt(Math.floor(node / 2 ** inodesLog)) + (node % 2 ** inodesLog) * inodeBytes
    const it = read(at, inodeBytes)
    if (it.toString('latin1', 0, 2) === 'IN') return it
    throw new BuildError(`Cannot read inode ${node} of the XFS file system: there is none`)
  }
  const sizeOf = (it: Buffer) => Number(it.readBigUInt64BE(56))
  const forkBytes = (it: Buffer) => (it[82] === 0 ? inodeBytes - fork : it[82]! * 8)

  /** An extent: 1 bit of state, 54 of place in the file, 52 of block, 21 of count. */
  function runAt(bytes: Buffer, at: number): Run {
    const [high, low] = [bytes.readBigUInt64BE(at), bytes.readBigUInt64BE(at + 8)]
    return {
      at: Number((high & 0x7fffffffffffffffn) >> 9n),
      first: Number(((high & 0x1ffn) << 43n) | (low >> 21n)),
      count: Number(low & 0x1fffffn),
    }
  }

  function* treeRuns(
    node: Buffer,
    head: number,
    room: number,
    step = stepsOfFile(),
    limit = DEEPEST,
  ): Generator<Run> {
    const level = node.readUInt16BE(head === 4 ? 0 : 4)
    const count = node.readUInt16BE(head === 4 ? 2 : 6)
    if (limit === 0) return
    for (let n = 0; n < count; n++) {
      step()
      if (level === 0) yield runAt(node, head + n * 16)
      else {
        // Keys of eight bytes, and behind room for all of them the blocks that they lead to.
        const block = Number(node.readBigUInt64BE(head + room * 8 + n * 8))
        const child = Buffer.from(read(blockAt(block), blockBytes))
        const inner = five ? 72 : 24
        yield* treeRuns(child, inner, Math.floor((blockBytes - inner) / 16), step, limit - 1)
      }
    }
  }

  function* runsOf(it: Buffer): Generator<Run> {
    const data = Buffer.from(it.subarray(fork, fork + forkBytes(it)))
    if (it[5] === FORMAT.TREE) {
      yield* treeRuns(data, 4, Math.floor((data.length - 4) / 16))
    } else if (it[5] === FORMAT.EXTENTS) {
      const wide = five && (it.readBigUInt64BE(120) & WIDE_COUNTS) !== 0n
      const count = wide ? Number(it.readBigUInt64BE(24)) : it.readUInt32BE(76)
      for (let n = 0; n < count && n * 16 + 16 <= data.length; n++) yield runAt(data, n * 16)
    }
  }

  function content(it: Buffer, bytes: number): Buffer {
    if (it[5] === FORMAT.LOCAL) return Buffer.from(it.subarray(fork, fork + bytes))
    const whole = Buffer.alloc(bytes)
    for (const { at, first, count } of runsOf(it)) {
      const from = at * blockBytes
      if (from >= bytes) continue
      read(blockAt(first), Math.min(count * blockBytes, bytes - from)).copy(whole, from)
    }
    return whole
  }

  /** A link that does not fit into its inode has a block, with a header; that of older tools has none. */
  function target(it: Buffer): Buffer {
    const bytes = sizeOf(it)
    if (it[5] === FORMAT.LOCAL) return content(it, bytes)
    const whole = content(it, LINK_HEADER + bytes)
    const head = whole.toString('latin1', 0, 4) === 'XSLM' ? LINK_HEADER : 0
    return whole.subarray(head, head + bytes)
  }

  /** A small directory, inside its inode. */
  function* shortNames(it: Buffer): Generator<[string, Node]> {
    const wide = it[fork + 1] !== 0
    const number = wide ? 8 : 4
    let at = fork + 2 + number
    for (let n = wide ? it[fork + 1]! : it[fork]!; n > 0; n--) {
      const length = it[at]!
      const name = it.toString('latin1', at + 3, at + 3 + length)
      at += 3 + length + (typed ? 1 : 0)
      yield [name, wide ? Number(it.readBigUInt64BE(at)) : it.readUInt32BE(at)]
      at += number
    }
  }

  function* namesIn(block: Buffer): Generator<[string, Node]> {
    const magic = block.toString('latin1', 0, 4)
    if (!/^XD[BD]3$|^XD2[BD]$/.test(magic)) return
    const alone = magic === 'XDB3' || magic === 'XD2B' // its index is at its own end
    const end = alone ? block.length - 8 - block.readUInt32BE(block.length - 8) * 8 : block.length
    for (let at = magic.endsWith('3') ? 64 : 16; at + 12 <= end;) {
      if (block.readUInt16BE(at) === 0xffff) {
        const free = block.readUInt16BE(at + 2)
        if (free < 8) return
        at += free
        continue
      }
      const length = block[at + 8]!
      const name = block.toString('latin1', at + 9, at + 9 + length)
      if (name !== '.' && name !== '..') yield [name, Number(block.readBigUInt64BE(at))]
      at += Math.ceil((8 + 1 + length + (typed ? 1 : 0) + 2) / 8) * 8
    }
  }

  function* names(node: Node): Generator<[string, Node]> {
    const it = inode(node)
    if (it[5] === FORMAT.LOCAL) return yield* shortNames(it)
    const bytes = Math.min(sizeOf(it), LARGEST_DIRECTORY, DATA_END)
    const data = content(it, bytes)
    for (let at = 0; at + directoryBytes <= data.length; at += directoryBytes) {
      yield* namesIn(data.subarray(at, at + directoryBytes))
    }
  }

  const known = new Map<Node, ReadonlyMap<string, Node>>()
  return {
    root: Number(sb.readBigUInt64BE(56)),
    uuid: uuidText(sb.subarray(32, 48)),
    label: sb.toString('latin1', 108, 120).replace(/\0[^]*/, ''),
    stat(node) {
      const it = inode(node)
      const mode = it.readUInt16BE(2)
      return {
        kind: kindOf(mode),
        bytes: sizeOf(it),
        mode: mode & 0o7777,
        uid: it.readUInt32BE(8),
      }
    },
    entries(node) {
      const found = known.get(node) ?? new Map(names(node))
      known.set(node, found)
      return found
    },
    read(node, limit) {
      const it = inode(node)
      if (kindOf(it.readUInt16BE(2)) === 'link') return target(it)
      return content(it, Math.min(sizeOf(it), limit))
    },
    extents(node) {
      return [...runsOf(inode(node))].map(({ first, count }) => ({
        offset: start + blockAt(first),
        length: count * blockBytes,
      }))
    },
  }
}
