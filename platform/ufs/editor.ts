/**
 * Changes to an image. Each is done whole or not at all, so that an edit list can go on after one
 * that did not fit. A file that is replaced keeps owner and mode where no others are given; when it
 * has further names, these keep the old content, and only the name given gets the new one.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { atomically } from './atomically.ts'
import {
  applyAttributes,
  type Attributes,
  checkAttributes,
  nowOf,
  refuseSpecial,
} from './attributes.ts'
import { changeBytes, type Extent } from './block-map.ts'
import {
  allocateContent,
  type Content,
  openSource,
  releaseContent,
  type Source,
  writeContent,
} from './content.ts'
import { addEntry, CHUNK_BYTES, setEntry, writeFirstChunk } from './directory.ts'
import type { Volume } from './group.ts'
import { type Inode, TYPES, typeOf } from './inode.ts'
import { allocateInode, loadInode, storeInode } from './inode-table.ts'
import {
  findInode,
  findPlace,
  freePlace,
  LONGEST_TARGET,
  linkTarget,
  type Place,
} from './lookup.ts'
import { removeFile, removeTree, storeDirectory, unlink } from './remove.ts'

export type UfsEditor = {
  /** Create or replace a file: mode 0644 of root, or what it had. */
  writeFile(path: string, content: Content, attributes?: Attributes): void
  /** Create a directory, with mode 0755 of root. */
  mkdir(path: string, attributes?: Attributes): void
  /** Create a symbolic link, of root. */
  symlink(path: string, target: string, attributes?: Omit<Attributes, 'mode'>): void
  /** Remove anything but a directory. */
  remove(path: string): void
  /** Remove a directory with all below it, or anything else. */
  removeTree(path: string): void
  chmod(path: string, mode: number): void
  /** Of the path itself: a symbolic link at its end is not followed. */
  chown(path: string, uid: number, gid: number): void
  setTime(path: string, mtimeSeconds: number): void
}

/** Most names of a file, and sub-directories of a directory: the count has 16 bits. */
const MOST_LINKS = 32767
/** 2 GiB and more would need a flag of the whole file system. */
const MOST_BYTES = 2 ** 31 - 1

/** Give a new inode its name. */
function enter(volume: Volume, place: Place, inode: Inode): void {
  if (place.entry) setEntry(volume, place.parent, place.entry, inode.number)
  else addEntry(volume, place.parent, place.name, inode.number)
  storeDirectory(volume, place.parent)
  storeInode(volume, inode)
}

/** Content cannot be taken back: an image where it is missing is not to be finished. */
function fill(volume: Volume, path: string, extents: Extent[], source: Source): void {
  const before = volume.torn
  volume.torn = path
  writeContent(volume, extents, source)
  volume.torn = before
}

/** The inode that a file gets its new content in: that of its only name, or a new one. */
function inodeForContent(volume: Volume, place: Place, old: Inode | undefined): Inode {
  if (old && old.links <= 1) {
    releaseContent(volume, old)
    return old
  }
  const inode = allocateInode(volume, place.parent.number, TYPES.file | 0o644)
  inode.links = 1
  if (!old) return inode
  unlink(volume, old)
  const { mode, uid, gid } = old
  return { ...inode, mode, uid, gid }
}

function writeFile(volume: Volume, path: string, content: Content, attributes: Attributes): void {
  const action = `write "${path}"`
  checkAttributes(action, attributes)
  const place = findPlace(volume, 'write', path)
  const old = place?.entry && loadInode(volume, place.entry.inode)
  const type = place ? old && typeOf(old.mode) : 'directory'
  if (!place || (old && type !== 'file')) {
    throw new BuildError(`Cannot ${action} in the image: it is a ${type ?? 'thing unknown'}`, {
      hint: old && type === 'symlink' ? `It leads to "${linkTarget(volume, old)}"` : undefined,
    })
  }
  if (old) refuseSpecial('replace', path, old)
  const source = openSource(content)
  try {
    const { bytes } = source
    if (bytes > MOST_BYTES) {
      throw new BuildError(`Cannot ${action} in the image: ${bytes} bytes are 2 GiB or more`)
    }
    const freed = old && old.links <= 1 ? structuredClone(old) : undefined
    const extents = atomically(volume, action, { bytes, freed }, () => {
      const inode = inodeForContent(volume, place, old)
      inode.flags = 0
      inode.modified = nowOf(volume)
      applyAttributes(volume, inode, attributes)
      const space = allocateContent(volume, inode, bytes)
      if (inode.number === old?.number) storeInode(volume, inode)
      else enter(volume, place, inode)
      return space
    })
    fill(volume, path, extents, source)
  } finally {
    source.close()
  }
}

function mkdir(volume: Volume, path: string, attributes: Attributes): void {
  const action = `create directory "${path}"`
  checkAttributes(action, attributes)
  const place = freePlace(volume, 'create directory', path)
  if (place.parent.links >= MOST_LINKS) {
    throw new BuildError(`Cannot ${action} in the image: its parent has ${MOST_LINKS} links`)
  }
  atomically(volume, action, { bytes: CHUNK_BYTES }, () => {
    const inode = allocateInode(volume, place.parent.number, TYPES.directory | 0o755)
    inode.links = 2
    const [extent] = allocateContent(volume, inode, CHUNK_BYTES)
    writeFirstChunk(changeBytes(volume, extent!).fill(0), inode.number, place.parent.number)
    applyAttributes(volume, inode, attributes)
    place.parent.links++
    enter(volume, place, inode)
  })
}

function symlink(volume: Volume, path: string, target: string, attributes: Attributes): void {
  const action = `create symbolic link "${path}"`
  checkAttributes(action, attributes)
  const text = Buffer.from(target)
  const bytes = text.length
  if (bytes === 0 || bytes > LONGEST_TARGET || text.includes(0)) {
    throw new BuildError(
      `Cannot ${action} in the image: its target has ${bytes} bytes or a NUL, allowed are 1 to ${LONGEST_TARGET}`,
    )
  }
  const place = freePlace(volume, 'create symbolic link', path)
  const extents = atomically(volume, action, { bytes }, () => {
    const inode = allocateInode(volume, place.parent.number, TYPES.symlink | 0o777)
    inode.links = 1
    applyAttributes(volume, inode, attributes)
    const space = allocateContent(volume, inode, bytes)
    enter(volume, place, inode)
    return space
  })
  // The text is in a fragment however short it is: early boot reads no other kind.
  fill(volume, path, extents, openSource(text))
}

function change(volume: Volume, action: string, path: string, attributes: Attributes): void {
  checkAttributes(`${action} "${path}"`, attributes)
  const inode = findInode(volume, action, path)
  refuseSpecial(action, path, inode)
  if (attributes.mode !== undefined && typeOf(inode.mode) === 'symlink') {
    throw new BuildError(`Cannot ${action} "${path}" in the image: it is a symlink`)
  }
  applyAttributes(volume, inode, attributes)
  storeInode(volume, inode)
}

export function editorOf(volume: Volume): UfsEditor {
  return {
    writeFile: (path, content, attributes = {}) => writeFile(volume, path, content, attributes),
    mkdir: (path, attributes = {}) => mkdir(volume, path, attributes),
    symlink: (path, target, attributes = {}) => symlink(volume, path, target, attributes),
    remove: (path) => removeFile(volume, path),
    removeTree: (path) => removeTree(volume, path),
    chmod: (path, mode) => change(volume, 'chmod', path, { mode }),
    chown: (path, uid, gid) => change(volume, 'chown', path, { uid, gid }),
    setTime: (path, mtimeSeconds) => change(volume, 'set the time of', path, { mtimeSeconds }),
  }
}
