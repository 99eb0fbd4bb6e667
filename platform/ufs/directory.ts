/**
 * Directories: chunks of 512 bytes that fill with entries, none of which crosses into the next chunk.
 *
 * An entry is inode (4 bytes), its own length (2), length of the name (2), name, NUL, padding to 4.
 * The lengths of a chunk's entries add up to 512. A removed entry goes to the one before it, the
 * first of a chunk gets inode 0. Source: illumos, sys/fs/ufs_fsdir.h.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { addBlock, blocksOf, changeBytes } from './block-map.ts'
import type { Volume } from './group.ts'
import { DIRECT_POINTERS, type Inode } from './inode.ts'
import { offsetInPage, pageOf } from './layout.ts'
import { allocate, extend, release } from './space.ts'

export const CHUNK_BYTES = 512
const HEAD_BYTES = 8
export const LONGEST_NAME = 255

export type Entry = {
  inode: number
  /** Which chunk of the directory, and where in it, in bytes. */
  chunk: number
  at: number
  /** Length of the entry, and how much of it is in use. */
  length: number
  used: number
  nameBytes: number
}
export type Named = Entry & { name: string }

const usedBy = (nameBytes: number) => HEAD_BYTES + ((nameBytes + 4) & ~3)

/** A chunk of a directory, in the page that holds it. */
type Chunk = { page: number; at: number }

function chunksOf(volume: Volume, directory: Inode): Chunk[] {
  const s = volume.superblock
  const wrong = (what: string): never => {
    throw new BuildError(
      `Cannot read "${volume.pages.path}": directory of inode ${directory.number} ${what}`,
      { hint: 'The image is damaged' },
    )
  }
  if (directory.size === 0 || directory.size % CHUNK_BYTES !== 0) {
    wrong(`has ${directory.size} bytes`)
  }
  if (directory.size > volume.pages.bytes) wrong(`has ${directory.size} bytes`)
  const chunks: Chunk[] = []
  for (const { address } of blocksOf(volume, directory).data) {
    if (address === 0) wrong('has a hole')
    const page = pageOf(s, address)
    const first = offsetInPage(s, address)
    const left = directory.size - chunks.length * CHUNK_BYTES
    const end = first + Math.min(left, s.blockBytes - (first % s.blockBytes))
    for (let at = first; at < end; at += CHUNK_BYTES) chunks.push({ page, at })
  }
  return chunks
}

/** All entries of one chunk, unused ones too. @throws {BuildError} when their lengths are wrong */
function parseChunk(volume: Volume, directory: Inode, place: Chunk, chunk: number): Entry[] {
  const data = volume.pages.page(place.page)
  const entries: Entry[] = []
  for (let at = 0; at < CHUNK_BYTES;) {
    const head = place.at + at
    const inode = data.readUInt32LE(head)
    const length = data.readUInt16LE(head + 4)
    const nameBytes = data.readUInt16LE(head + 6)
    const used = inode === 0 ? 0 : usedBy(nameBytes)
    const fits = length >= HEAD_BYTES && length % 4 === 0 && at + length <= CHUNK_BYTES
    if (!fits || used > length || nameBytes > LONGEST_NAME || (inode !== 0 && nameBytes === 0)) {
      throw new BuildError(
        `Cannot read "${volume.pages.path}": directory of inode ${directory.number} is damaged at byte ${chunk * CHUNK_BYTES + at}`,
      )
    }
    entries.push({ inode, chunk, at, length, used, nameBytes })
    at += length
  }
  return entries
}

/** Place of an entry's name in its page. */
const nameAt = (place: Chunk, entry: Entry) => place.at + entry.at + HEAD_BYTES

/** The entries in use, `.` and `..` too, in the order of the directory. */
export function entriesOf(volume: Volume, directory: Inode): Named[] {
  return chunksOf(volume, directory).flatMap((place, chunk) => {
    const data = volume.pages.page(place.page)
    return parseChunk(volume, directory, place, chunk)
      .filter(({ inode }) => inode !== 0)
      .map((entry) => {
        const at = nameAt(place, entry)
        return { ...entry, name: data.toString('utf8', at, at + entry.nameBytes) }
      })
  })
}

export function findEntry(volume: Volume, directory: Inode, name: string): Entry | undefined {
  const wanted = Buffer.from(name)
  for (const [i, place] of chunksOf(volume, directory).entries()) {
    const data = volume.pages.page(place.page)
    const found = parseChunk(volume, directory, place, i).find((entry) => {
      if (entry.inode === 0 || entry.nameBytes !== wanted.length) return false
      const at = nameAt(place, entry)
      return wanted.compare(data, at, at + wanted.length) === 0
    })
    if (found) return found
  }
  return undefined
}

function writeEntry(data: Buffer, at: number, inode: number, length: number, name: Buffer): void {
  data.fill(0, at, at + Math.min(length, usedBy(name.length)))
  data.writeUInt32LE(inode, at)
  data.writeUInt16LE(length, at + 4)
  data.writeUInt16LE(name.length, at + 6)
  name.copy(data, at + HEAD_BYTES)
}

/** Content of a new directory. */
export function writeFirstChunk(data: Buffer, self: number, parent: number): void {
  const first = usedBy(1)
  writeEntry(data, 0, self, first, Buffer.from('.'))
  writeEntry(data, first, parent, CHUNK_BYTES - first, Buffer.from('..'))
}

/** Another chunk at the end of a directory, whose space grows by a fragment where it has to. */
function addChunk(volume: Volume, directory: Inode): Chunk {
  const s = volume.superblock
  const index = Math.floor(directory.size / s.blockBytes)
  const inBlock = directory.size % s.blockBytes
  const last = blocksOf(volume, directory).data.at(-1)
  const near = last ? last.address + last.fragments : 0
  let address: number
  if (inBlock === 0) {
    const fragments = index < DIRECT_POINTERS ? 1 : s.fragmentsPerBlock
    address = addBlock(volume, directory, index, fragments, near)
    changeBytes(volume, { address, fragments }).fill(0)
  } else if (index < DIRECT_POINTERS && inBlock % s.fragmentBytes === 0) {
    address = growTail(volume, directory, index, inBlock / s.fragmentBytes)
  } else {
    address = last!.address // there is space in its last fragment
  }
  directory.size += CHUNK_BYTES
  return { page: pageOf(s, address), at: offsetInPage(s, address) + inBlock }
}

/** One fragment more for the last block of a directory: behind it, or the block is moved. */
function growTail(volume: Volume, directory: Inode, index: number, count: number): number {
  const s = volume.superblock
  const old = directory.direct[index]!
  directory.sectors += s.sectorsPerFragment
  if (extend(volume, old, count, 1)) return old
  const content = changeBytes(volume, { address: old, fragments: count })
  const moved = allocate(volume, old, count + 1)
  const space = changeBytes(volume, { address: moved, fragments: count + 1 })
  content.copy(space.fill(0))
  release(volume, old, count)
  directory.direct[index] = moved
  return moved
}

/**
 * Add a name that the directory does not have. The inode of the directory may change; the caller
 * stores it. @throws {NoSpace} when it has to grow and can't
 */
export function addEntry(volume: Volume, directory: Inode, name: string, inode: number): void {
  const bytes = Buffer.from(name)
  const needed = usedBy(bytes.length)
  for (const [i, place] of chunksOf(volume, directory).entries()) {
    const entries = parseChunk(volume, directory, place, i)
    if (entries.reduce((sum, entry) => sum + entry.used, 0) + needed > CHUNK_BYTES) continue
    const data = volume.pages.change(place.page)
    insert(data.subarray(place.at, place.at + CHUNK_BYTES), entries, bytes, inode)
    return
  }
  const place = addChunk(volume, directory)
  const data = volume.pages.change(place.page)
  writeEntry(data.fill(0, place.at, place.at + CHUNK_BYTES), place.at, inode, CHUNK_BYTES, bytes)
}

/** Into a chunk whose entries leave enough room: behind the first that does, else all move together. */
function insert(chunk: Buffer, entries: Entry[], name: Buffer, inode: number): void {
  const needed = usedBy(name.length)
  const roomy = entries.find((entry) => entry.length - entry.used >= needed)
  if (roomy) {
    if (roomy.used > 0) chunk.writeUInt16LE(roomy.used, roomy.at + 4)
    writeEntry(chunk, roomy.at + roomy.used, inode, roomy.length - roomy.used, name)
    return
  }
  let end = 0
  for (const { at, used } of entries.filter((entry) => entry.used > 0)) {
    chunk.copyWithin(end, at, at + used)
    chunk.writeUInt16LE(used, end + 4)
    end += used
  }
  writeEntry(chunk, end, inode, CHUNK_BYTES - end, name)
}

function chunkToChange(volume: Volume, directory: Inode, chunk: number): Buffer {
  const place = chunksOf(volume, directory)[chunk]!
  return volume.pages.change(place.page).subarray(place.at, place.at + CHUNK_BYTES)
}

/** Have an entry lead to another inode. */
export function setEntry(volume: Volume, directory: Inode, entry: Entry, inode: number): void {
  chunkToChange(volume, directory, entry.chunk).writeUInt32LE(inode, entry.at)
}

export function removeEntry(volume: Volume, directory: Inode, entry: Entry): void {
  const place = chunksOf(volume, directory)[entry.chunk]!
  const before = parseChunk(volume, directory, place, entry.chunk).find(
    ({ at, length }) => at + length === entry.at,
  )
  const data = chunkToChange(volume, directory, entry.chunk)
  if (before) data.writeUInt16LE(before.length + entry.length, before.at + 4)
  else data.writeUInt32LE(0, entry.at)
}
