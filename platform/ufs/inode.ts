/**
 * Inodes: 128 bytes each, decoded and encoded.
 *
 * Times are seconds and microseconds. A free inode has mode 0; its generation may be anything.
 * Source: illumos, sys/fs/ufs_inode.h (struct icommon).
 */
import { INODE_BYTES } from './superblock.ts'

export const DIRECT_POINTERS = 12

/** What the upper four bits of the mode say. */
export const TYPES = {
  fifo: 0x1000,
  'character device': 0x2000,
  directory: 0x4000,
  'block device': 0x6000,
  file: 0x8000,
  symlink: 0xa000,
  acl: 0xb000,
  socket: 0xc000,
  'attribute directory': 0xe000,
} as const
export type FileType = keyof typeof TYPES

/** `fs_flags` of a file that fiocompress has compressed. */
export const COMPRESSED = 4

export type Time = { seconds: number; microseconds: number }

export type Inode = {
  number: number
  mode: number
  links: number
  size: number
  uid: number
  gid: number
  accessed: Time
  modified: Time
  changed: Time
  /** Addresses of the first blocks; for devices, other things. */
  direct: number[]
  /** Addresses of the single, double and triple indirect block. */
  indirect: number[]
  flags: number
  /** Space taken, in sectors of 512 bytes, indirect blocks included. */
  sectors: number
  generation: number
  /** Inode of the access control list, or 0. */
  acl: number
  /** Inode of the directory of extended attributes, or 0. */
  attributes: number
}

const ACCESSED_AT = 16
const DIRECT_AT = 40
const INDIRECT_AT = 88

/** The type in a mode, undefined for none that is known. */
export function typeOf(mode: number): FileType | undefined {
  const bits = mode & 0xf000
  const found = Object.entries(TYPES).find(([, value]) => value === bits)
  return found?.[0] as FileType | undefined // keys of TYPES
}

export function decodeInode(data: Buffer, at: number, number: number): Inode {
  const numbers = (offset: number, count: number) =>
    Array.from({ length: count }, (_, i) => data.readUInt32LE(at + offset + 4 * i))
  const time = (offset: number) => ({
    seconds: data.readInt32LE(at + offset),
    microseconds: data.readInt32LE(at + offset + 4),
  })
  return {
    number,
    mode: data.readUInt16LE(at),
    links: data.readInt16LE(at + 2),
    // More than 2^53 is no size; rounded it is refused all the same.
    size: data.readUInt32LE(at + 8) + data.readUInt32LE(at + 12) * 2 ** 32,
    accessed: time(ACCESSED_AT),
    modified: time(ACCESSED_AT + 8),
    changed: time(ACCESSED_AT + 16),
    direct: numbers(DIRECT_AT, DIRECT_POINTERS),
    indirect: numbers(INDIRECT_AT, 3),
    flags: data.readUInt32LE(at + 100),
    sectors: data.readInt32LE(at + 104),
    generation: data.readInt32LE(at + 108),
    acl: data.readInt32LE(at + 112),
    uid: data.readUInt32LE(at + 116),
    gid: data.readUInt32LE(at + 120),
    attributes: data.readInt32LE(at + 124),
  }
}

/** Identities that 16 bits can't hold are in the long fields only. */
const short = (id: number) => Math.min(id, 0xffff)

export function encodeInode(inode: Inode, data: Buffer, at: number): void {
  data.fill(0, at, at + INODE_BYTES)
  data.writeUInt16LE(inode.mode, at)
  data.writeInt16LE(inode.links, at + 2)
  data.writeUInt16LE(short(inode.uid), at + 4)
  data.writeUInt16LE(short(inode.gid), at + 6)
  data.writeUInt32LE(inode.size % 2 ** 32, at + 8)
  data.writeUInt32LE(Math.floor(inode.size / 2 ** 32), at + 12)
  for (const [i, time] of [inode.accessed, inode.modified, inode.changed].entries()) {
    data.writeInt32LE(time.seconds, at + ACCESSED_AT + 8 * i)
    data.writeInt32LE(time.microseconds, at + ACCESSED_AT + 8 * i + 4)
  }
  inode.direct.forEach((address, i) => data.writeUInt32LE(address, at + DIRECT_AT + 4 * i))
  inode.indirect.forEach((address, i) => data.writeUInt32LE(address, at + INDIRECT_AT + 4 * i))
  data.writeUInt32LE(inode.flags, at + 100)
  data.writeInt32LE(inode.sectors, at + 104)
  data.writeInt32LE(inode.generation, at + 108)
  data.writeInt32LE(inode.acl, at + 112)
  data.writeUInt32LE(inode.uid, at + 116)
  data.writeUInt32LE(inode.gid, at + 120)
  data.writeInt32LE(inode.attributes, at + 124)
}
