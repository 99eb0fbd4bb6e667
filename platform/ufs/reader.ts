/** What can be asked of an image. */
import { posix } from 'node:path'
import { BuildError } from '../../lib/cli/errors.ts'
import { readContent } from './content.ts'
import { entriesOf } from './directory.ts'
import { totals, type Volume } from './group.ts'
import { type FileType, type Inode, typeOf } from './inode.ts'
import { loadInode } from './inode-table.ts'
import { findInode, findPlace, isDirectory, linkTarget, MOST_SYMLINKS, NotFound } from './lookup.ts'

export type Status = {
  type: FileType
  /** Permission bits, with set-uid, set-gid and sticky. */
  mode: number
  uid: number
  gid: number
  bytes: number
  mtimeSeconds: number
  links: number
  inode: number
  /** Number of a device as it is in the inode, 0 for other files. */
  device: number
}
export type Named = Status & { name: string }
export type Walked = Status & { path: string }
export type Space = {
  freeBytes: number
  /** Of those, bytes in whole blocks; the rest is for tails of small files. */
  freeBlockBytes: number
  freeInodes: number
  blockBytes: number
  fragmentBytes: number
}

export type UfsReader = {
  /** The files of a directory, without `.` and `..`, sorted by name. */
  list(path: string): Named[]
  exists(path: string): boolean
  /** Of the path itself: a symbolic link at its end is not followed. */
  stat(path: string): Status
  /** The path that symbolic links lead to, whether or not there is something. */
  realPath(path: string): string
  readLink(path: string): string
  /** A file's content; symbolic links are refused, see `realPath`. */
  readFile(path: string): Buffer
  /** Part of it, cut at the end of the file; offset and length in bytes. */
  readAt(path: string, offset: number, length: number): Buffer
  /** Everything below a directory, each directory before its files. */
  walk(path?: string): Generator<Walked>
  space(): Space
}

export function statusOf(volume: Volume, inode: Inode): Status {
  const type = typeOf(inode.mode)
  if (!type) {
    throw new BuildError(
      `Cannot read "${volume.pages.path}": inode ${inode.number} has mode 0${inode.mode.toString(8)}`,
      { hint: 'The image is damaged' },
    )
  }
  const isDevice = type === 'character device' || type === 'block device'
  return {
    type,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    bytes: inode.size,
    mtimeSeconds: inode.modified.seconds,
    links: inode.links,
    inode: inode.number,
    device: isDevice ? inode.direct[1]! : 0, // where x86 has it
  }
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)

/** Names and inodes of a directory. */
function childrenOf(volume: Volume, directory: Inode): { name: string; inode: Inode }[] {
  return entriesOf(volume, directory)
    .filter(({ name }) => name !== '.' && name !== '..')
    .map(({ name, inode }) => ({ name, inode: loadInode(volume, inode) }))
    .sort(byName)
}

/** Longer than Solaris opens: deeper there is nothing but damage, which would have no end for us. */
const LONGEST_PATH = 4096

function* walkBelow(
  volume: Volume,
  directory: Inode,
  path: string,
  seen: Set<number>,
): Generator<Walked> {
  const wrong = (what: string) =>
    new BuildError(`Cannot read "${volume.pages.path}": directory "${path.slice(0, 80)}" ${what}`, {
      hint: 'The image is damaged',
    })
  // A directory has one place: with two in each of thirty a walk would take for ever.
  if (seen.has(directory.number)) throw wrong('is inside of itself, or in two places')
  if (path.length > LONGEST_PATH) throw wrong('is deeper than a path can say')
  seen.add(directory.number)
  for (const { name, inode } of childrenOf(volume, directory)) {
    const here = `${path}/${name}`
    yield { path: here, ...statusOf(volume, inode) }
    if (isDirectory(inode)) {
      yield* walkBelow(volume, inode, here, seen)
    }
  }
}

export function readerOf(volume: Volume): UfsReader {
  const find = (action: string, path: string) => findInode(volume, action, path)

  const findDirectory = (action: string, path: string): Inode => {
    const inode = find(action, path)
    if (isDirectory(inode)) return inode
    throw new BuildError(`Cannot ${action} "${path}" in the image: it is not a directory`)
  }

  const findFile = (path: string): Inode => {
    const inode = find('read', path)
    const type = typeOf(inode.mode)
    if (type === 'file') return inode
    const hint = type === 'symlink' ? `It leads to "${linkTarget(volume, inode)}"` : undefined
    throw new BuildError(`Cannot read "${path}" in the image: it is a ${type ?? 'thing unknown'}`, {
      hint,
    })
  }

  return {
    list: (path) =>
      childrenOf(volume, findDirectory('list', path)).map(({ name, inode }) => ({
        name,
        ...statusOf(volume, inode),
      })),
    exists(path) {
      try {
        const place = findPlace(volume, 'find', path)
        return !place || place.entry !== undefined
      } catch (error) {
        if (error instanceof NotFound) return false // of the directories on the way
        throw error
      }
    },
    stat: (path) => statusOf(volume, find('find', path)),
    realPath(path) {
      let current = path
      for (let i = 0; i <= MOST_SYMLINKS; i++) {
        const place = findPlace(volume, 'find', current)
        if (!place) return '/'
        const inode = place.entry && loadInode(volume, place.entry.inode)
        if (!inode || typeOf(inode.mode) !== 'symlink') return place.real
        const target = linkTarget(volume, inode)
        current = target.startsWith('/') ? target : `${posix.dirname(place.real)}/${target}`
      }
      throw new BuildError(`Cannot find "${path}" in the image: symbolic links go round`)
    },
    readLink(path) {
      const inode = find('read', path)
      if (typeOf(inode.mode) === 'symlink') return linkTarget(volume, inode)
      throw new BuildError(`Cannot read "${path}" in the image: it is not a symbolic link`)
    },
    readFile: (path) => readContent(volume, findFile(path)),
    readAt: (path, offset, length) => readContent(volume, findFile(path), offset, length),
    *walk(path = '/') {
      const directory = findDirectory('list', path)
      yield* walkBelow(volume, directory, path.replace(/\/+$/, ''), new Set())
    },
    space() {
      const { blockBytes, fragmentBytes } = volume.superblock
      const { blocks, fragments, inodes } = totals(volume)
      const freeBlockBytes = blocks * blockBytes
      const freeBytes = freeBlockBytes + fragments * fragmentBytes
      return { freeBytes, freeBlockBytes, freeInodes: inodes, blockBytes, fragmentBytes }
    },
  }
}
