/**
 * Where things are: addresses of groups and inodes. Addresses are in fragments from the start of the
 * image. Source: illumos, sys/fs/ufs_fs.h (cgbase, cgstart, itod).
 */
import { INODE_BYTES, type Superblock } from './superblock.ts'

/** First fragment of a group's share of the image. */
export const groupBase = (s: Superblock, group: number) => s.fragmentsPerGroup * group

/** Fragments of a group: the last one may have fewer. */
export const groupFragments = (s: Superblock, group: number) =>
  Math.min(s.fragmentsPerGroup, s.fragments - groupBase(s, group))

/** Where a group's own tables count from: its base, moved to spread them over the tracks. */
export const groupStart = (s: Superblock, group: number) =>
  groupBase(s, group) + s.shift * (group & ~s.mask)

export const groupOf = (s: Superblock, address: number) => Math.floor(address / s.fragmentsPerGroup)

/** The block-sized page of the image that holds an address. */
export const pageOf = (s: Superblock, address: number) => Math.floor(address / s.fragmentsPerBlock)

/** Place of an address in its page, in bytes. */
export const offsetInPage = (s: Superblock, address: number) =>
  (address % s.fragmentsPerBlock) * s.fragmentBytes

/** Page of an inode, and its place there in bytes. */
export function inodePlace(s: Superblock, inode: number): { page: number; offset: number } {
  const group = Math.floor(inode / s.inodesPerGroup)
  const index = inode % s.inodesPerGroup
  const page = pageOf(s, groupStart(s, group) + s.inodesAt) + Math.floor(index / s.inodesPerBlock)
  return { page, offset: (index % s.inodesPerBlock) * INODE_BYTES }
}

/**
 * Whether `count` fragments from an address are in one block of the image, and none of them belongs
 * to a group's superblock copy, header or inodes, or to the first blocks of the image.
 */
export function isDataRange(s: Superblock, address: number, count: number): boolean {
  if (address <= 0 || address + count > s.fragments) return false
  if ((address % s.fragmentsPerBlock) + count > s.fragmentsPerBlock) return false
  const group = groupOf(s, address)
  const start = groupStart(s, group)
  if (group === 0) return address >= s.summaryAt + s.summaryBytes / s.fragmentBytes
  return address + count <= start + s.superblockCopyAt || address >= start + s.dataAt
}
