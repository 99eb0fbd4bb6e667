/** Every inode of an image: is it one that can be, and which fragments are its own? */
import type { Check, Found } from './fsck.ts'

const DIRECTORY = 0x4000
/** Files that have blocks: directory, file, symlink, ACL, attribute directory. */
const WITH_BLOCKS = [DIRECTORY, 0x8000, 0xa000, 0xb000, 0xe000]
/** Those that have none: fifo, character and block device, socket. */
const WITHOUT_BLOCKS = [0x1000, 0x2000, 0x6000, 0xc000]

export function checkInodes(check: Check): void {
  const s = check.superblock
  for (let group = 0; group < s.groups; group++) {
    const start = group * s.fragmentsPerGroup + s.shift * (group & ~s.mask) + s.inodesAt
    const table = check.read(start * s.fragmentBytes, s.inodesPerGroup * 128)
    for (let i = 0; i < s.inodesPerGroup; i++) {
      const number = group * s.inodesPerGroup + i
      const data = table.subarray(i * 128, (i + 1) * 128)
      if (data.readUInt16LE(0) !== 0) checkInode(check, number, data)
      else if (!isEmpty(data)) check.report(`inode ${number} is free and not empty`)
    }
  }
  if (check.inodes.get(2)?.mode !== DIRECTORY) check.report('inode 2 is not a directory')
}

/** A free inode keeps its generation and its times, and nothing else. */
function isEmpty(data: Buffer): boolean {
  const counts = [data.readInt16LE(2), data.readUInt32LE(8), data.readUInt32LE(104)]
  return counts.every((value) => value === 0) && data.subarray(40, 100).every((byte) => byte === 0)
}

function checkInode(check: Check, number: number, data: Buffer): void {
  const report = (finding: string) => check.report(`inode ${number} ${finding}`)
  const mode = data.readUInt16LE(0) & 0xf000
  const high = data.readUInt32LE(12)
  const size = data.readUInt32LE(8)
  const found: Found = {
    mode,
    links: data.readInt16LE(2),
    size,
    acl: data.readInt32LE(112),
    blocks: [],
  }
  if (number < 2) report('is used and must not be')
  check.inodes.set(number, found)
  for (const [name, short, long] of [
    ['uid', 4, 116],
    ['gid', 6, 120],
  ] as const) {
    const id = data.readUInt32LE(long)
    if (data.readUInt16LE(short) !== (id > 65535 ? 65535 : id)) report(`has two values of ${name}`)
  }
  if (data.readInt32LE(124) !== 0) report('has extended attributes, which are not checked')
  if (high !== 0 || size > 0x7fffffff) return report(`has ${high * 2 ** 32 + size} bytes`)
  if (WITHOUT_BLOCKS.includes(mode)) {
    if (data.readInt32LE(104) !== 0) report('has sectors and can have none')
    return
  }
  if (!WITH_BLOCKS.includes(mode)) return report(`has mode 0x${mode.toString(16)}`)
  const sectors = claimBlocks(check, number, data, found, report)
  if (sectors !== data.readInt32LE(104)) {
    report(`has ${sectors} sectors and says ${data.readInt32LE(104)}`)
  }
}

/** Claim all blocks of a file, and count its sectors. */
function claimBlocks(
  check: Check,
  number: number,
  data: Buffer,
  found: Found,
  report: (finding: string) => void,
): number {
  const s = check.superblock
  const total = Math.ceil(found.size / s.blockBytes)
  let used = 0

  const claim = (address: number, count: number): boolean => {
    if (
      address + count > s.fragments ||
      (address % s.fragmentsPerBlock) + count > s.fragmentsPerBlock
    ) {
      report(`has a block at fragment ${address}, outside or across blocks`)
      return false
    }
    for (let i = address; i < address + count; i++) {
      const owner = check.owners[i]!
      if (owner !== 0) {
        report(`has fragment ${i}, which ${owner === -1 ? 'is a table' : `inode ${owner} has`}`)
        return false
      }
      check.owners[i] = number
    }
    used += count
    return true
  }

  const claimData = (address: number, index: number): void => {
    if (index >= total) {
      if (address !== 0) report(`has block ${index}, beyond its end`)
      return
    }
    if (address === 0) {
      if (found.mode !== 0x8000) report('has a hole and is not a file')
      return
    }
    const rest = found.size - index * s.blockBytes
    const isTail = index < 12 && rest < s.blockBytes
    const count = isTail ? Math.ceil(rest / s.fragmentBytes) : s.fragmentsPerBlock
    const good = claim(address, count)
    if (good && found.mode === DIRECTORY) {
      found.blocks.push({ at: address * s.fragmentBytes, bytes: Math.min(rest, s.blockBytes) })
    }
    if (good && isTail && found.mode === 0xa000) {
      const block = check.read(address * s.fragmentBytes, count * s.fragmentBytes)
      // The reader of early boot expects a NUL behind the text.
      if (block.subarray(rest).some((byte) => byte !== 0)) report('has a link that goes on')
    }
  }

  /** An indirect block, `span` file blocks for each of its pointers. */
  const claimIndirect = (address: number, first: number, span: number): void => {
    if (address === 0) return
    if (first >= total) return report(`has an indirect block for block ${first}, beyond its end`)
    if (!claim(address, s.fragmentsPerBlock)) return
    const block = check.read(address * s.fragmentBytes, s.blockBytes)
    for (let i = 0; i < s.pointersPerBlock; i++) {
      const pointer = block.readUInt32LE(4 * i)
      if (span === 1) claimData(pointer, first + i)
      else claimIndirect(pointer, first + i * span, span / s.pointersPerBlock)
    }
  }

  for (let i = 0; i < 12; i++) claimData(data.readUInt32LE(40 + 4 * i), i)
  claimIndirect(data.readUInt32LE(88), 12, 1)
  claimIndirect(data.readUInt32LE(92), 12 + s.pointersPerBlock, s.pointersPerBlock)
  if (data.readUInt32LE(96) !== 0) report('has a triple indirect block')
  if (found.mode === 0xa000 && (found.size === 0 || used === 0)) report('is a link without text')
  return used * s.sectorsPerFragment
}
