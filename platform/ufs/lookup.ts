/**
 * From paths to inodes. Paths are absolute, from the root of the image. Symbolic links on the way are
 * followed inside the image, the one at the end is not: what an edit changes is what it names.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { readContent } from './content.ts'
import { type Entry, findEntry, LONGEST_NAME } from './directory.ts'
import type { Volume } from './group.ts'
import { type Inode, TYPES, typeOf } from './inode.ts'
import { loadInode } from './inode-table.ts'
import { ROOT_INODE } from './superblock.ts'

export const MOST_SYMLINKS = 20
export const LONGEST_TARGET = 1023

/** There is nothing at a path, or something on the way is missing or no directory. */
export class NotFound extends BuildError {
  override name = 'NotFound'
}

/** A place where a name is, or could be. */
export type Place = { parent: Inode; name: string; entry: Entry | undefined }

export const isDirectory = (inode: Inode) => (inode.mode & 0xf000) === TYPES.directory

const partsOf = (path: string) => path.split('/').filter((part) => part !== '' && part !== '.')

/** What is wrong with a path as such. */
function checkPath(action: string, path: string): void {
  const wrong = (found: string) => {
    throw new BuildError(`Cannot ${action} "${path}" in the image: ${found}`)
  }
  if (!path.startsWith('/')) wrong('the path does not begin with "/"')
  if (path.includes('\0')) wrong('the path has a NUL')
  if (path.split('/').some((part) => Buffer.byteLength(part) > LONGEST_NAME)) {
    wrong(`a name has more than ${LONGEST_NAME} bytes`)
  }
}

/** Text of a symbolic link. @throws {BuildError} when it is not one that Solaris has written */
export function linkTarget(volume: Volume, inode: Inode): string {
  if (inode.size === 0 || inode.size > LONGEST_TARGET || inode.sectors === 0) {
    throw new BuildError(
      `Cannot read "${volume.pages.path}": the symbolic link of inode ${inode.number} has ${inode.size} bytes in ${inode.sectors} sectors`,
      { hint: 'The image is damaged, or was written by a 4.4BSD' },
    )
  }
  return readContent(volume, inode).toString('utf8')
}

/**
 * The directory and entry of a path, and the path without symbolic links before its last part. The
 * root has no place.
 *
 * @throws {NotFound} when something on the way is missing or no directory
 */
export function findPlace(
  volume: Volume,
  action: string,
  path: string,
): (Place & { real: string }) | undefined {
  checkPath(action, path)
  let parts = partsOf(path)
  let above: Inode[] = [loadInode(volume, ROOT_INODE)]
  let names: string[] = []
  let symlinks = 0
  while (parts.length > 0) {
    const [name, ...rest] = parts as [string, ...string[]] // it is not empty
    const parent = above.at(-1)!
    if (name === '..') {
      if (above.length > 1) above = above.slice(0, -1)
      names = names.slice(0, -1)
      parts = rest
      continue
    }
    const here = `/${[...names, name].join('/')}`
    if (!isDirectory(parent)) {
      throw new NotFound(
        `Cannot ${action} "${path}" in the image: "/${names.join('/')}" is not a directory`,
      )
    }
    const entry = findEntry(volume, parent, name)
    if (rest.length === 0) return { parent, name, entry, real: here }
    if (!entry) {
      throw new NotFound(`Cannot ${action} "${path}" in the image: there is no "${here}"`)
    }
    const inode = loadInode(volume, entry.inode)
    if (typeOf(inode.mode) === 'symlink') {
      if (++symlinks > MOST_SYMLINKS) {
        throw new BuildError(`Cannot ${action} "${path}" in the image: symbolic links go round`)
      }
      const target = linkTarget(volume, inode)
      if (target.startsWith('/')) [above, names] = [above.slice(0, 1), []]
      parts = [...partsOf(target), ...rest]
      continue
    }
    above.push(inode)
    names.push(name)
    parts = rest
  }
  const [parent, name] = [above.at(-2), names.at(-1)]
  if (!parent || name === undefined) return undefined
  return { parent, name, entry: findEntry(volume, parent, name), real: `/${names.join('/')}` }
}

/** The inode of a path. @throws {NotFound} when there is none */
export function findInode(volume: Volume, action: string, path: string): Inode {
  const place = findPlace(volume, action, path)
  if (!place) return loadInode(volume, ROOT_INODE)
  if (place.entry) return loadInode(volume, place.entry.inode)
  throw new NotFound(`Cannot ${action} "${path}" in the image: there is no such file`)
}

/** The place for something new. @throws {BuildError} when there is something */
export function freePlace(volume: Volume, action: string, path: string): Place {
  const place = findPlace(volume, action, path)
  if (place && !place.entry) return place
  throw new BuildError(`Cannot ${action} "${path}" in the image: it exists already`)
}

/** The place of something that is there, and what it is. @throws {BuildError} when there is nothing */
export function existingPlace(
  volume: Volume,
  action: string,
  path: string,
): Place & { entry: Entry; inode: Inode } {
  const place = findPlace(volume, action, path)
  if (!place) throw new BuildError(`Cannot ${action} "${path}" in the image: it is the root`)
  const { entry } = place
  if (entry) return { ...place, entry, inode: loadInode(volume, entry.inode) }
  throw new NotFound(`Cannot ${action} "${path}" in the image: there is no such file`)
}
