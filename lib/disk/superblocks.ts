/**
 * The superblocks of a new ext4 file system, the first and its copies. e2fsprogs counts in each of them what has ever
 * been written, and the count is another one when the same files come from another file system.
 *
 * Source: Linux, fs/ext4/ext4.h (ext4_super_block), fs/ext4/super.c (ext4_superblock_csum); fs/ext4/balloc.c
 * (ext4_bg_has_super, test_root).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { act } from '../cli/run.ts'

const LENGTH = 1024
/** Bytes before the first one; a copy is at the beginning of its group. */
const FIRST = 1024
const MAGIC = { at: 0x38, value: 0xef53 }
const AT = {
  blocks: 0x04,
  firstBlock: 0x14,
  logBlockSize: 0x18,
  blocksPerGroup: 0x20,
  readOnlyFeatures: 0x64,
  blocksHigh: 0x150,
  kbytesWritten: 0x178,
  checksum: 0x3fc,
} as const
/** Features: copies in few groups only; a checksum. */
const SPARSE = 0x1
const CHECKSUM = 0x400

const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let value = i
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** CRC-32C (Castagnoli) as ext4 has it: begun with all ones, and not inverted at the end. */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8)
  return value >>> 0
}

const isPower = (value: number, base: number): boolean => {
  let power = base
  while (power < value) power *= base
  return power === value
}

/** Groups with a copy: all, or the first and those whose number is a power of 3, 5 or 7. */
export const hasCopy = (group: number, sparse: boolean) =>
  !sparse || group <= 1 || [3, 5, 7].some((base) => isPower(group, base))

/** Where its superblocks are, in bytes from its beginning. @throws {BuildError} when it is none */
export function superblockPlaces(first: Buffer): number[] {
  if (first.readUInt16LE(MAGIC.at) !== MAGIC.value) {
    throw new BuildError('Cannot find the superblock of the new file system')
  }
  const blockSize = 1024 << first.readUInt32LE(AT.logBlockSize)
  const firstBlock = first.readUInt32LE(AT.firstBlock)
  const perGroup = first.readUInt32LE(AT.blocksPerGroup)
  const blocks = first.readUInt32LE(AT.blocks) + first.readUInt32LE(AT.blocksHigh) * 2 ** 32
  const sparse = (first.readUInt32LE(AT.readOnlyFeatures) & SPARSE) !== 0
  const groups = Math.ceil((blocks - firstBlock) / perGroup)
  const copies = Array.from({ length: groups }, (_, group) => group)
    .filter((group) => group > 0 && hasCopy(group, sparse))
    .map((group) => (firstBlock + group * perGroup) * blockSize)
  return [FIRST, ...copies]
}

async function forgetIn(file: FileHandle, at: number): Promise<void> {
  const block = Buffer.alloc(LENGTH)
  await file.read(block, 0, LENGTH, at)
  if (block.readUInt16LE(MAGIC.at) !== MAGIC.value) {
    throw new BuildError(`Cannot find a copy of the superblock at byte ${at}`)
  }
  block.writeBigUInt64LE(0n, AT.kbytesWritten)
  if ((block.readUInt32LE(AT.readOnlyFeatures) & CHECKSUM) !== 0) {
    block.writeUInt32LE(crc32c(block.subarray(0, AT.checksum)), AT.checksum)
  }
  await file.write(block, 0, LENGTH, at)
}

/**
 * Have a file system say that nothing was written to it before its first mount.
 *
 * @param offset of the file system in the disk, in bytes
 * @throws {BuildError} when there is none
 */
export async function forgetWrites(disk: string, offset: number): Promise<void> {
  await act(`write to ${disk}: no count of writes in the superblocks`, async () => {
    let file: FileHandle | undefined
    try {
      file = await open(disk, 'r+')
      const first = Buffer.alloc(LENGTH)
      await file.read(first, 0, LENGTH, offset + FIRST)
      for (const place of superblockPlaces(first)) await forgetIn(file, offset + place)
    } catch (error) {
      throw explain(`write to "${disk}"`, error)
    } finally {
      await file?.close()
    }
  })
}
