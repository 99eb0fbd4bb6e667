/** Inodes in the image: loaded, stored, taken and given back. */
import { BuildError } from '../../lib/cli/errors.ts'
import {
  addCounts,
  countsOf,
  type Group,
  groupAt,
  INODE_ROTOR_AT,
  readCounts,
  type Volume,
} from './group.ts'
import { decodeInode, encodeInode, type Inode, TYPES } from './inode.ts'
import { inodePlace } from './layout.ts'
import { NoSpace } from './space.ts'
import { INODE_BYTES } from './superblock.ts'

function checkNumber(volume: Volume, number: number): void {
  const { groups, inodesPerGroup } = volume.superblock
  if (number >= 2 && number < groups * inodesPerGroup) return
  throw new BuildError(`Cannot read "${volume.pages.path}": there is no inode ${number}`, {
    hint: 'The image is damaged',
  })
}

/** @throws {BuildError} when there is no such inode, or it is free */
export function loadInode(volume: Volume, number: number): Inode {
  checkNumber(volume, number)
  const { page, offset } = inodePlace(volume.superblock, number)
  const inode = decodeInode(volume.pages.page(page), offset, number)
  if (inode.mode !== 0) return inode
  throw new BuildError(`Cannot read "${volume.pages.path}": inode ${number} is used and free`, {
    hint: 'The image is damaged',
  })
}

export function storeInode(volume: Volume, inode: Inode): void {
  const { page, offset } = inodePlace(volume.superblock, inode.number)
  encodeInode(inode, volume.pages.change(page), offset)
}

function mark(volume: Volume, group: Group, index: number, used: boolean, directory: boolean) {
  const header = volume.pages.change(group.page)
  const at = group.inodeMapAt + (index >> 3)
  const bit = 1 << (index & 7)
  if (((header[at]! & bit) !== 0) === used) {
    const number = group.index * volume.superblock.inodesPerGroup + index
    throw new BuildError(
      `Cannot edit "${volume.pages.path}": the map of inodes is wrong for inode ${number}`,
      { hint: 'The image is damaged' },
    )
  }
  header[at]! ^= bit
  const sign = used ? 1 : -1
  addCounts(volume, group, { inodes: -sign, directories: directory ? sign : 0 })
}

/** A free inode of a group, searched from where the last one was taken. */
function findFree(volume: Volume, group: Group): number | undefined {
  const header = volume.pages.page(group.page)
  const count = volume.superblock.inodesPerGroup
  const from = header.readInt32LE(INODE_ROTOR_AT)
  const start = from >= 0 && from < count ? from : 0
  for (let i = 0; i < count; i++) {
    const index = (start + i) % count
    if (group.index === 0 && index <= 2) continue // 0 and 1 are none, 2 is the root
    if ((header[group.inodeMapAt + (index >> 3)]! & (1 << (index & 7))) === 0) return index
  }
  return undefined
}

/** Directories are spread: of the groups with inodes above average, the one with fewest. */
function groupForDirectory(volume: Volume): number {
  const s = volume.superblock
  const counts = Array.from({ length: s.groups }, (_, i) => {
    const byte = s.summaryAt * s.fragmentBytes + i * 16
    return readCounts(volume.pages.page(Math.floor(byte / s.blockBytes)), byte % s.blockBytes)
  })
  const average = counts.reduce((sum, { inodes }) => sum + inodes, 0) / s.groups
  let best = 0
  for (const [i, { inodes, directories, blocks }] of counts.entries()) {
    if (inodes < average || inodes === 0 || blocks === 0) continue
    const known = counts[best]!
    if (known.inodes < average || directories < known.directories) best = i
  }
  return best
}

/**
 * Take an inode: in the group of the directory it is for, or for a directory where there are few.
 * It has no content, no links, and belongs to root. @throws {NoSpace} when all are used
 */
export function allocateInode(volume: Volume, parent: number, mode: number): Inode {
  const s = volume.superblock
  const directory = (mode & 0xf000) === TYPES.directory
  const first = directory ? groupForDirectory(volume) : Math.floor(parent / s.inodesPerGroup)
  for (let i = 0; i < s.groups; i++) {
    const group = groupAt(volume, (first + i) % s.groups)
    if (countsOf(volume, group).inodes <= 0) continue
    const index = findFree(volume, group)
    if (index === undefined) continue
    mark(volume, group, index, true, directory)
    volume.pages.change(group.page).writeInt32LE(index, INODE_ROTOR_AT)
    return freshInode(volume, group.index * s.inodesPerGroup + index, mode)
  }
  throw new NoSpace('inodes')
}

function freshInode(volume: Volume, number: number, mode: number): Inode {
  const { page, offset } = inodePlace(volume.superblock, number)
  const old = decodeInode(volume.pages.page(page), offset, number)
  const now = { seconds: volume.nowSeconds, microseconds: 0 }
  const empty = decodeInode(Buffer.alloc(INODE_BYTES), 0, number)
  // The next user of an inode has another generation, so that file handles of the last one are stale.
  const generation = (old.generation + 1) | 0
  return { ...empty, mode, generation, accessed: now, modified: now, changed: now }
}

/** Give an inode back, whose content has been given back. */
export function releaseInode(volume: Volume, inode: Inode): void {
  const { inodesPerGroup } = volume.superblock
  const group = groupAt(volume, Math.floor(inode.number / inodesPerGroup))
  const directory = (inode.mode & 0xf000) === TYPES.directory
  mark(volume, group, inode.number % inodesPerGroup, false, directory)
  const empty = decodeInode(Buffer.alloc(INODE_BYTES), 0, inode.number)
  storeInode(volume, { ...empty, generation: inode.generation })
}
