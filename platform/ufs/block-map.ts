/**
 * Which fragments a file has: 12 direct pointers, then a single and a double indirect block of
 * pointers. A pointer of 0 is a hole. Files without indirect blocks end in a tail of as many fragments
 * as they need; all other blocks are whole. Source: illumos, sys/fs/ufs_fs.h (blksize, lblkno).
 */
import { BuildError } from '../../lib/cli/errors.ts'
import type { Volume } from './group.ts'
import { DIRECT_POINTERS, type Inode } from './inode.ts'
import { isDataRange, offsetInPage, pageOf } from './layout.ts'
import { allocate } from './space.ts'

/** Fragments of one block of a file; address 0 is a hole. */
export type Extent = { address: number; fragments: number }
export type FileBlocks = { data: Extent[]; indirect: number[] }

/** Pointers up to and with the double indirect block, and no size that 32 bits of sign don't hold. */
export function largestFile({ superblock: s }: Volume): number {
  const pointers = DIRECT_POINTERS + s.pointersPerBlock + s.pointersPerBlock ** 2
  return Math.min(pointers * s.blockBytes, 2 ** 31 - 1)
}

/** Fragments of block `index` in a file of `size` bytes. */
export function fragmentsAt(volume: Volume, size: number, index: number): number {
  const { blockBytes, fragmentBytes, fragmentsPerBlock } = volume.superblock
  const rest = size - index * blockBytes
  if (index >= DIRECT_POINTERS || rest >= blockBytes) return fragmentsPerBlock
  return Math.max(0, Math.ceil(rest / fragmentBytes))
}

function damaged(volume: Volume, inode: Inode, what: string): never {
  throw new BuildError(`Cannot read "${volume.pages.path}": inode ${inode.number} ${what}`, {
    hint: 'The image is damaged, or of a kind that is not supported',
  })
}

/** The addresses of a file's blocks. @throws {BuildError} when they can't be those of a file */
export function blocksOf(volume: Volume, inode: Inode): FileBlocks {
  const s = volume.superblock
  if (inode.size > largestFile(volume)) damaged(volume, inode, `has ${inode.size} bytes`)
  if (inode.indirect[2] !== 0) damaged(volume, inode, 'has triple indirect blocks')
  const count = Math.ceil(inode.size / s.blockBytes)
  const indirect: number[] = []
  const check = (address: number, fragments: number) => {
    if (address === 0 || isDataRange(s, address, fragments)) return address
    return damaged(volume, inode, `has a block at fragment ${address}`)
  }
  /** The pointers in an indirect block, `wanted` of them. */
  const pointersIn = (address: number, wanted: number): number[] => {
    if (check(address, s.fragmentsPerBlock) === 0) return new Array<number>(wanted).fill(0)
    indirect.push(address)
    const page = volume.pages.page(pageOf(s, address))
    for (let i = wanted; i < s.pointersPerBlock; i++) {
      if (page.readUInt32LE(4 * i) !== 0) damaged(volume, inode, 'has blocks beyond its end')
    }
    return Array.from({ length: wanted }, (_, i) => page.readUInt32LE(4 * i))
  }

  const addresses = inode.direct.slice(0, count)
  const beyond = inode.direct.slice(count).some((address) => address !== 0)
  let left = count - addresses.length
  const single = Math.min(left, s.pointersPerBlock)
  left -= single
  if (beyond || (single === 0 && inode.indirect[0] !== 0) || (left === 0 && inode.indirect[1])) {
    damaged(volume, inode, 'has blocks beyond its end')
  }
  if (single > 0) addresses.push(...pointersIn(inode.indirect[0]!, single))
  if (left > 0) {
    for (const address of pointersIn(inode.indirect[1]!, Math.ceil(left / s.pointersPerBlock))) {
      const wanted = Math.min(left, s.pointersPerBlock)
      addresses.push(...pointersIn(address, wanted))
      left -= wanted
    }
  }
  const data = addresses.map((address, i) => {
    const fragments = fragmentsAt(volume, inode.size, i)
    return { address: check(address, fragments), fragments }
  })
  return { data, indirect }
}

/** Sectors that these blocks take. */
export function sectorsOf(volume: Volume, { data, indirect }: FileBlocks): number {
  const s = volume.superblock
  const used = data.reduce((sum, { address, fragments }) => sum + (address && fragments), 0)
  return (used + indirect.length * s.fragmentsPerBlock) * s.sectorsPerFragment
}

/** An indirect block full of holes. */
function allocateIndirect(volume: Volume, inode: Inode, near: number): number {
  const s = volume.superblock
  const address = allocate(volume, near, s.fragmentsPerBlock)
  volume.pages.change(pageOf(s, address)).fill(0)
  inode.sectors += s.fragmentsPerBlock * s.sectorsPerFragment
  return address
}

/** Take fragments for block `index` of a file, which is a hole so far, and note them there. */
export function addBlock(
  volume: Volume,
  inode: Inode,
  index: number,
  fragments: number,
  near: number,
): number {
  const s = volume.superblock
  const place = index - DIRECT_POINTERS
  const note = (into: number[], at: number) => {
    const address = allocate(volume, near, fragments)
    inode.sectors += fragments * s.sectorsPerFragment
    into[at] = address
    return address
  }
  if (place < 0) return note(inode.direct, index)

  /** The block that a pointer in an indirect block leads to, taken when there is none. */
  const below = (address: number, at: number, make: () => number): number => {
    const page = pageOf(s, address)
    const known = volume.pages.page(page).readUInt32LE(4 * at)
    if (known !== 0) return known
    const made = make()
    volume.pages.change(page).writeUInt32LE(made, 4 * at)
    return made
  }
  const indirect = (level: number) =>
    (inode.indirect[level] ||= allocateIndirect(volume, inode, near))
  const leaf = () => note([], 0)
  if (place < s.pointersPerBlock) return below(indirect(0), place, leaf)
  const inDouble = place - s.pointersPerBlock
  const second = below(indirect(1), Math.floor(inDouble / s.pointersPerBlock), () =>
    allocateIndirect(volume, inode, near),
  )
  return below(second, inDouble % s.pointersPerBlock, leaf)
}

/** The bytes of fragments, to change: for metadata. */
export function changeBytes(volume: Volume, { address, fragments }: Extent): Buffer {
  const s = volume.superblock
  const at = offsetInPage(s, address)
  return volume.pages.change(pageOf(s, address)).subarray(at, at + fragments * s.fragmentBytes)
}
