/**
 * Changes to an image. Each is done whole or not at all, so that an edit list can go on after one
 * that did not fit. A file that is replaced keeps owner and mode where no others are given; when it
 * has further names, these keep the old content, and only the name given gets the new one.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { changeBytes, type Extent } from './block-map.ts'
import {
  allocateContent,
  type Content,
  fragmentsFor,
  openSource,
  releaseContent,
  type Source,
  writeContent,
} from './content.ts'
import {
  addEntry,
  CHUNK_BYTES,
  entriesOf,
  removeEntry,
  setEntry,
  writeFirstChunk,
} from './directory.ts'
import { totals, type Volume } from './group.ts'
import { type Inode, type Time, TYPES, typeOf } from './inode.ts'
import { allocateInode, loadInode, releaseInode, storeInode } from './inode-table.ts'
import {
  findInode,
  findPlace,
  isDirectory,
  LONGEST_TARGET,
  linkTarget,
  type Place,
} from './lookup.ts'
import { NoSpace } from './space.ts'

export type Attributes = { mode?: number; uid?: number; gid?: number; mtimeSeconds?: number }

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
  chown(path: string, uid: number, gid: number): void
  setTime(path: string, mtimeSeconds: number): void
}

/** Most names of a file, and sub-directories of a directory: the count has 16 bits. */
const MOST_LINKS = 32767
const MOST_ID = 2 ** 31 - 1

function checkAttributes(action: string, { mode, uid, gid, mtimeSeconds }: Attributes): void {
  const within = (name: string, value: number | undefined, least: number, most: number) => {
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return
    throw new BuildError(`Cannot ${action}: ${name} is ${value}, not from ${least} to ${most}`)
  }
  within('mode', mode, 0, 0o7777)
  within('uid', uid, 0, MOST_ID)
  within('gid', gid, 0, MOST_ID)
  within('time', mtimeSeconds, -(2 ** 31), 2 ** 31 - 1)
}

export function editorOf(volume: Volume): UfsEditor {
  const s = volume.superblock
  const now: Time = { seconds: volume.nowSeconds, microseconds: 0 }

  function apply(inode: Inode, { mode, uid, gid, mtimeSeconds }: Attributes): void {
    if (mode !== undefined) inode.mode = (inode.mode & 0xf000) | mode
    if (uid !== undefined) inode.uid = uid
    if (gid !== undefined) inode.gid = gid
    inode.changed = now
    if (mtimeSeconds !== undefined) inode.modified = { seconds: mtimeSeconds, microseconds: 0 }
  }

  /** What is missing after an operation that needs so much did not find it. */
  function missing(error: NoSpace, blocks: number, tail: number): string {
    if (error.kind === 'inodes') return '1 inode is missing, all are used'
    const free = totals(volume)
    const perBlock = s.fragmentsPerBlock
    const wanted = blocks * perBlock + tail
    const have = free.blocks * perBlock + free.fragments
    const short = Math.max(wanted - have, (blocks - free.blocks) * perBlock)
    const bytes = (fragments: number) => fragments * s.fragmentBytes
    if (short > 0) {
      return `${bytes(short)} bytes are missing (${bytes(wanted)} needed, ${bytes(have)} free, ${bytes(free.blocks * perBlock)} of them in whole blocks)`
    }
    return `${s.blockBytes} bytes are missing: the ${bytes(have)} that are free are in pieces that are too small`
  }

  /**
   * Run an operation whole or not at all.
   *
   * @param bytes content that it needs space for
   * @param freed fragments that it gives back before
   */
  function atomically<T>(
    action: string,
    bytes: number,
    freed: Inode | undefined,
    work: () => T,
  ): T {
    try {
      return volume.pages.transaction(work)
    } catch (error) {
      if (!(error instanceof NoSpace)) throw error
      const { blocks, tail } = fragmentsFor(volume, bytes)
      const back = freed ? freed.sectors / s.sectorsPerFragment : 0
      const givenBack = Math.floor(back / s.fragmentsPerBlock)
      throw new BuildError(
        `Cannot ${action} in the image: ${missing(error, blocks - givenBack, tail - (back % s.fragmentsPerBlock))}`,
        { hint: 'Remove something, or leave this edit out', cause: error },
      )
    }
  }

  /** The place for something new. */
  function freePlace(action: string, path: string): Place {
    const place = findPlace(volume, action, path)
    if (place && !place.entry) return place
    throw new BuildError(`Cannot ${action} "${path}" in the image: it exists already`)
  }

  function existing(action: string, path: string): Place & { inode: Inode } {
    const place = findPlace(volume, action, path)
    if (!place) throw new BuildError(`Cannot ${action} "${path}" in the image: it is the root`)
    if (place.entry) return { ...place, inode: loadInode(volume, place.entry.inode) }
    throw new BuildError(`Cannot ${action} "${path}" in the image: there is no such file`)
  }

  /** Files with parts that this editor would leave behind, or does not know. */
  function refuseSpecial(action: string, path: string, inode: Inode): void {
    const what = inode.acl ? 'an access control list' : inode.attributes && 'extended attributes'
    if (!what) return
    throw new BuildError(`Cannot ${action} "${path}" in the image: it has ${what}`, {
      hint: 'That is not supported',
    })
  }

  /** A directory was changed: its own times, and what was changed of its inode. */
  function storeDirectory(directory: Inode): void {
    storeInode(volume, { ...directory, modified: now, changed: now })
  }

  /** Give a new inode its name. */
  function enter(place: Place, inode: Inode): void {
    if (place.entry) setEntry(volume, place.parent, place.entry, inode.number)
    else addEntry(volume, place.parent, place.name, inode.number)
    storeDirectory(place.parent)
    storeInode(volume, inode)
  }

  /** One name less: with the last one go inode and content. */
  function unlink(inode: Inode, names: number): void {
    if (inode.links > names) {
      storeInode(volume, { ...inode, links: inode.links - names, changed: now })
      return
    }
    const type = typeOf(inode.mode)
    if (type === 'file' || type === 'symlink' || type === 'directory') releaseContent(volume, inode)
    releaseInode(volume, inode)
  }

  /** Content cannot be taken back: an image where it is missing is not to be finished. */
  function fill(path: string, extents: Extent[], source: Source): void {
    const before = volume.torn
    volume.torn = path
    writeContent(volume, extents, source)
    volume.torn = before
  }

  function writeFile(path: string, content: Content, attributes: Attributes = {}): void {
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
      if (source.bytes > 2 ** 31 - 1) {
        throw new BuildError(
          `Cannot ${action} in the image: ${source.bytes} bytes are 2 GiB or more`,
        )
      }
      const last = old && old.links <= 1
      const extents = atomically(action, source.bytes, last ? old : undefined, () => {
        let inode: Inode
        if (last) {
          inode = structuredClone(old)
          releaseContent(volume, inode)
        } else {
          inode = allocateInode(volume, place.parent.number, TYPES.file | 0o644)
          inode.links = 1
          if (old) {
            const { mode, uid, gid } = old
            Object.assign(inode, { mode, uid, gid })
            unlink(old, 1)
          }
        }
        inode.flags = 0
        inode.modified = now
        apply(inode, attributes)
        const space = allocateContent(volume, inode, source.bytes)
        if (last) storeInode(volume, inode)
        else enter(place, inode)
        return space
      })
      fill(path, extents, source)
    } finally {
      source.close()
    }
  }

  function mkdir(path: string, attributes: Attributes = {}): void {
    const action = `create directory "${path}"`
    checkAttributes(action, attributes)
    const place = freePlace('create directory', path)
    if (place.parent.links >= MOST_LINKS) {
      throw new BuildError(`Cannot ${action} in the image: its parent has ${MOST_LINKS} links`)
    }
    atomically(action, CHUNK_BYTES, undefined, () => {
      const inode = allocateInode(volume, place.parent.number, TYPES.directory | 0o755)
      inode.links = 2
      const [extent] = allocateContent(volume, inode, CHUNK_BYTES)
      writeFirstChunk(changeBytes(volume, extent!).fill(0), inode.number, place.parent.number)
      apply(inode, attributes)
      place.parent.links++
      enter(place, inode)
    })
  }

  function symlink(path: string, target: string, attributes: Attributes = {}): void {
    const action = `create symbolic link "${path}"`
    checkAttributes(action, attributes)
    const text = Buffer.from(target)
    if (text.length === 0 || text.length > LONGEST_TARGET || text.includes(0)) {
      throw new BuildError(
        `Cannot ${action} in the image: its target has ${text.length} bytes or a NUL, allowed are 1 to ${LONGEST_TARGET}`,
      )
    }
    const place = freePlace('create symbolic link', path)
    const extents = atomically(action, text.length, undefined, () => {
      const inode = allocateInode(volume, place.parent.number, TYPES.symlink | 0o777)
      inode.links = 1
      apply(inode, attributes)
      const space = allocateContent(volume, inode, text.length)
      enter(place, inode)
      return space
    })
    // The text is in a fragment however short it is: early boot reads no other kind.
    fill(path, extents, openSource(text))
  }

  function remove(path: string): void {
    const { inode, parent, entry } = existing('remove', path)
    if (isDirectory(inode)) {
      throw new BuildError(`Cannot remove "${path}" in the image: it is a directory`)
    }
    refuseSpecial('remove', path, inode)
    atomically(`remove "${path}"`, 0, undefined, () => {
      removeEntry(volume, parent, entry!)
      storeDirectory(parent)
      unlink(inode, 1)
    })
  }

  function removeBelow(path: string, directory: Inode, above: Set<number>): void {
    if (above.has(directory.number)) {
      throw new BuildError(`Cannot remove "${path}" in the image: it is inside of itself`, {
        hint: 'The image is damaged',
      })
    }
    for (const entry of entriesOf(volume, directory)) {
      if (entry.name === '.' || entry.name === '..') continue
      const inode = loadInode(volume, entry.inode)
      refuseSpecial('remove', `${path}/${entry.name}`, inode)
      if (!isDirectory(inode)) {
        unlink(inode, 1)
        continue
      }
      removeBelow(`${path}/${entry.name}`, inode, new Set([...above, directory.number]))
      unlink(inode, inode.links) // its name and its dot; the others went with sub-directories
    }
  }

  function removeTree(path: string): void {
    const { inode, parent, entry } = existing('remove', path)
    if (!isDirectory(inode)) return remove(path)
    refuseSpecial('remove', path, inode)
    atomically(`remove "${path}"`, 0, undefined, () => {
      removeBelow(path, inode, new Set())
      removeEntry(volume, parent, entry!)
      storeDirectory({ ...parent, links: parent.links - 1 })
      unlink(inode, inode.links)
    })
  }

  function change(action: string, path: string, attributes: Attributes): void {
    checkAttributes(`${action} "${path}"`, attributes)
    const inode = findInode(volume, action, path)
    refuseSpecial(action, path, inode)
    if (attributes.mode !== undefined && typeOf(inode.mode) === 'symlink') {
      throw new BuildError(`Cannot ${action} "${path}" in the image: it is a symlink`)
    }
    volume.pages.transaction(() => {
      apply(inode, attributes)
      storeInode(volume, inode)
    })
  }

  return {
    writeFile,
    mkdir,
    symlink,
    remove,
    removeTree,
    chmod: (path, mode) => change('chmod', path, { mode }),
    chown: (path, uid, gid) => change('chown', path, { uid, gid }),
    setTime: (path, mtimeSeconds) => change('set the time of', path, { mtimeSeconds }),
  }
}
