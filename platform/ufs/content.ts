/**
 * Content of files: read, taken space for, written, given back. Offsets and lengths are bytes.
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { BuildError, explain } from '../../lib/cli/errors.ts'
import { addBlock, blocksOf, type Extent, fragmentsAt, sectorsOf } from './block-map.ts'
import type { Volume } from './group.ts'
import { COMPRESSED, DIRECT_POINTERS, type Inode } from './inode.ts'
import { inodePlace } from './layout.ts'
import { readFully } from './pages.ts'
import { release } from './space.ts'

/** Bytes, text (UTF-8), or a file of this machine. */
export type Content = Uint8Array | string | { file: string }

/** Most that is read or written at once. */
const CHUNK = 1024 ** 2

/**
 * Part of a file's content, cut at its end; holes are zeros.
 *
 * @throws {BuildError} for a compressed file and for damaged addresses
 */
export function readContent(
  volume: Volume,
  inode: Inode,
  offset = 0,
  length: number = inode.size,
): Buffer {
  const s = volume.superblock
  if (inode.flags & COMPRESSED) {
    throw new BuildError(
      `Cannot read inode ${inode.number} of "${volume.pages.path}": fiocompress compressed it`,
      { hint: 'It can be replaced as a whole' },
    )
  }
  const { data } = blocksOf(volume, inode)
  const end = Math.min(inode.size, offset + length)
  if (end - offset > volume.pages.bytes) {
    throw new BuildError(
      `Cannot read "${volume.pages.path}": inode ${inode.number} has ${inode.size} bytes, more than the image`,
      { hint: 'Read it in parts' },
    )
  }
  const result = Buffer.alloc(Math.max(0, end - offset))
  for (let at = offset; at < end;) {
    const index = Math.floor(at / s.blockBytes)
    let next = Math.min(end, (index + 1) * s.blockBytes)
    const { address } = data[index]!
    if (address !== 0) {
      // Blocks that follow one another are read together.
      for (let i = index + 1; next < end && next - at < CHUNK; i++) {
        if (data[i]!.address !== address + (i - index) * s.fragmentsPerBlock) break
        next = Math.min(end, (i + 1) * s.blockBytes)
      }
      const from = address * s.fragmentBytes + (at - index * s.blockBytes)
      volume.pages.read(from, next - at).copy(result, at - offset)
    }
    at = next
  }
  return result
}

/** Fragments that a file of this size takes, indirect blocks included. */
export function fragmentsFor(volume: Volume, bytes: number): { blocks: number; tail: number } {
  const s = volume.superblock
  const count = Math.ceil(bytes / s.blockBytes)
  const last = count === 0 ? 0 : fragmentsAt(volume, bytes, count - 1)
  const tail = last === s.fragmentsPerBlock ? 0 : last
  const single = Math.max(0, count - DIRECT_POINTERS)
  const double = Math.max(0, single - s.pointersPerBlock)
  const pointers =
    (single > 0 ? 1 : 0) + (double > 0 ? 1 + Math.ceil(double / s.pointersPerBlock) : 0)
  return { blocks: count - (tail > 0 ? 1 : 0) + pointers, tail }
}

/** Take the space for content of `bytes`; the inode has none so far. @throws {NoSpace} */
export function allocateContent(volume: Volume, inode: Inode, bytes: number): Extent[] {
  const s = volume.superblock
  const count = Math.ceil(bytes / s.blockBytes)
  const extents: Extent[] = []
  // A page holds blocks of data or of inodes: the group's inodes lead to the group.
  let near = inodePlace(s, inode.number).page * s.fragmentsPerBlock
  inode.size = bytes
  for (let index = 0; index < count; index++) {
    const fragments = fragmentsAt(volume, bytes, index)
    const address = addBlock(volume, inode, index, fragments, near)
    extents.push({ address, fragments })
    near = address + fragments
  }
  return extents
}

/** Something to read content from, opened before anything is changed. */
export type Source = {
  bytes: number
  read(offset: number, length: number): Uint8Array
  close(): void
}

/** @throws {BuildError} when a file can't be opened */
export function openSource(content: Content): Source {
  if (typeof content === 'string' || content instanceof Uint8Array) {
    const data = typeof content === 'string' ? Buffer.from(content) : content
    const read = (offset: number, length: number) => data.subarray(offset, offset + length)
    return { bytes: data.length, read, close: () => {} }
  }
  const { file } = content
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    throw explain(`read "${file}"`, error)
  }
  const status = fstatSync(fd)
  if (!status.isFile()) {
    closeSync(fd)
    throw new BuildError(`Cannot read "${file}": it is not a file`)
  }
  const read = (offset: number, length: number) => readFully(fd, file, offset, length)
  return { bytes: status.size, read, close: () => closeSync(fd) }
}

/** Content into the space taken for it; the rest of the last fragment becomes zeros. */
export function writeContent(volume: Volume, extents: Extent[], source: Source): void {
  const s = volume.superblock
  for (let first = 0; first < extents.length;) {
    const { address } = extents[first]!
    let fragments = 0
    let next = first
    while (
      next < extents.length &&
      extents[next]!.address === address + fragments &&
      fragments * s.fragmentBytes < CHUNK
    ) {
      fragments += extents[next++]!.fragments
    }
    const offset = first * s.blockBytes
    const length = fragments * s.fragmentBytes
    const data = source.read(offset, Math.min(length, source.bytes - offset))
    const padded = data.length === length ? data : Buffer.alloc(length)
    if (padded !== data) padded.set(data)
    volume.pages.write(address * s.fragmentBytes, padded)
    first = next
  }
}

/** Give back all space of an inode. @throws {BuildError} when its own count of it is another */
export function releaseContent(volume: Volume, inode: Inode): void {
  const blocks = blocksOf(volume, inode)
  const sectors = sectorsOf(volume, blocks)
  if (sectors !== inode.sectors) {
    throw new BuildError(
      `Cannot edit "${volume.pages.path}": inode ${inode.number} has ${sectors} sectors and says ${inode.sectors}`,
      { hint: 'The image is damaged' },
    )
  }
  for (const { address, fragments } of blocks.data) {
    if (address !== 0) release(volume, address, fragments)
  }
  for (const address of blocks.indirect) {
    release(volume, address, volume.superblock.fragmentsPerBlock)
  }
  inode.size = 0
  inode.sectors = 0
  inode.direct.fill(0)
  inode.indirect.fill(0)
}
