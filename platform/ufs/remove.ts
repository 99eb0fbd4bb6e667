/** Removing names, and files and directories with their last one. */
import { BuildError } from '../../lib/cli/errors.ts'
import { atomically } from './atomically.ts'
import { nowOf, refuseSpecial } from './attributes.ts'
import { releaseContent } from './content.ts'
import { entriesOf, removeEntry } from './directory.ts'
import type { Volume } from './group.ts'
import { type Inode, typeOf } from './inode.ts'
import { loadInode, releaseInode, storeInode } from './inode-table.ts'
import { existingPlace, isDirectory } from './lookup.ts'

/** One name less: with the last one go inode and content. */
export function unlink(volume: Volume, inode: Inode): void {
  if (inode.links > 1 && !isDirectory(inode)) {
    storeInode(volume, { ...inode, links: inode.links - 1, changed: nowOf(volume) })
    return
  }
  const type = typeOf(inode.mode)
  if (type === 'file' || type === 'symlink' || type === 'directory') releaseContent(volume, inode)
  releaseInode(volume, inode)
}

/** A directory was changed: its own times, and what else was changed of its inode. */
export function storeDirectory(volume: Volume, directory: Inode): void {
  const now = nowOf(volume)
  storeInode(volume, { ...directory, modified: now, changed: now })
}

/** Remove anything but a directory. */
export function removeFile(volume: Volume, path: string): void {
  const { inode, parent, entry } = existingPlace(volume, 'remove', path)
  if (isDirectory(inode)) {
    throw new BuildError(`Cannot remove "${path}" in the image: it is a directory`)
  }
  refuseSpecial('remove', path, inode)
  atomically(volume, `remove "${path}"`, { bytes: 0 }, () => {
    removeEntry(volume, parent, entry)
    storeDirectory(volume, parent)
    unlink(volume, inode)
  })
}

/** Longer than Solaris opens. */
const LONGEST_PATH = 4096

/** Everything in a directory that goes itself: its entries need no care. */
function removeBelow(volume: Volume, path: string, directory: Inode, above: Set<number>): void {
  if (above.has(directory.number)) {
    throw new BuildError(`Cannot remove "${path}" in the image: it is inside of itself`, {
      hint: 'The image is damaged',
    })
  }
  if (path.length > LONGEST_PATH) {
    throw new BuildError(
      `Cannot remove "${path.slice(0, 80)}..." in the image: it is deeper than a path can say`,
      { hint: 'The image is damaged' },
    )
  }
  for (const { name, inode: number } of entriesOf(volume, directory)) {
    if (name === '.' || name === '..') continue
    const inode = loadInode(volume, number)
    const here = `${path}/${name}`
    refuseSpecial('remove', here, inode)
    if (isDirectory(inode)) {
      removeBelow(volume, here, inode, new Set([...above, directory.number]))
    }
    unlink(volume, inode)
  }
}

/** Remove a directory with all below it, or anything else. */
export function removeTree(volume: Volume, path: string): void {
  const { inode, parent, entry } = existingPlace(volume, 'remove', path)
  if (!isDirectory(inode)) return removeFile(volume, path)
  refuseSpecial('remove', path, inode)
  atomically(volume, `remove "${path}"`, { bytes: 0 }, () => {
    // The directory above, in case of damage: removed with the rest it would come back.
    removeBelow(volume, path, inode, new Set([parent.number]))
    removeEntry(volume, parent, entry)
    storeDirectory(volume, { ...parent, links: parent.links - 1 })
    unlink(volume, inode)
  })
}
