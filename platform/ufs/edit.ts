/**
 * UFS images of SmartOS boot archives: opened for reading, or edited as a copy that takes the
 * original's place when everything was written. Needs neither root nor a mount.
 */
import { closeSync, constants, fstatSync } from 'node:fs'
import { copyFile, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BuildError, explain } from '../../lib/cli/errors.ts'
import { editorOf, type UfsEditor } from './editor.ts'
import { readCounts, totals, type Volume } from './group.ts'
import { openImage, pagesOf, readFully } from './pages.ts'
import { readerOf, type UfsReader } from './reader.ts'
import {
  cleanState,
  MODIFIED_AT,
  parseSuperblock,
  STATE_AT,
  SUPERBLOCK_AT,
  type Superblock,
  TIME_AT,
} from './superblock.ts'

export type Ufs = UfsReader & UfsEditor
export type EditOptions = {
  /** Time for what is changed; now, when not given. */
  nowSeconds?: number
}

/** Enough for the superblock of UFS2, too, which is to be told apart. */
const HEAD_BYTES = 65536 + 8192

/** @throws {BuildError} when it is no image that we understand */
function openVolume(path: string, shown: string, mode: 'r' | 'r+', nowSeconds: number): Volume {
  const fd = openImage(path, mode)
  try {
    const bytes = fstatSync(fd).size
    const head = readFully(fd, shown, 0, Math.min(bytes, HEAD_BYTES))
    const superblock = parseSuperblock(head, bytes, shown)
    const pages = pagesOf(fd, shown, superblock.blockBytes)
    return { pages, superblock, groups: new Map(), nowSeconds, torn: undefined }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Open an image to read. @throws {BuildError} when it is no image that we understand */
export function openUfs(path: string): UfsReader & { close(): void } {
  const volume = openVolume(path, path, 'r', 0)
  return { ...readerOf(volume), close: () => volume.pages.close() }
}

/** An edit relies on the free maps and counts: after a crash they can be anything. */
function requireClean(volume: Volume): void {
  const s = volume.superblock
  const refuse = (found: string) => {
    throw new BuildError(`Cannot edit "${volume.pages.path}": ${found}`, {
      hint: 'Have fsck repair it on SmartOS, or fetch the platform again',
    })
  }
  const clean = s.clean === 1 || s.clean === 2
  if (!clean) refuse(`it was not unmounted (fs_clean is ${s.clean})`)
  if (s.state !== cleanState(s.timeSeconds)) refuse('it was not unmounted (fs_state)')
  if (s.summaryState !== 0) refuse(`its counts are out of date (fs_si is ${s.summaryState})`)
  const sums = sumOfSummary(volume)
  const said = totals(volume)
  for (const name of ['directories', 'blocks', 'inodes', 'fragments'] as const) {
    if (sums[name] === said[name]) continue
    refuse(`fs_cstotal has ${said[name]} ${name}, the groups have ${sums[name]}`)
  }
}

function sumOfSummary({ pages, superblock: s }: Volume) {
  const sums = { directories: 0, blocks: 0, inodes: 0, fragments: 0 }
  for (let group = 0; group < s.groups; group++) {
    const byte = s.summaryAt * s.fragmentBytes + group * 16
    const counts = readCounts(pages.page(Math.floor(byte / s.blockBytes)), byte % s.blockBytes)
    sums.directories += counts.directories
    sums.blocks += counts.blocks
    sums.inodes += counts.inodes
    sums.fragments += counts.fragments
  }
  return sums
}

/** Write what was changed. The backup superblocks stay as they are: no kernel updates them. */
function finish(volume: Volume): void {
  const { pages, nowSeconds } = volume
  const { blockBytes }: Superblock = volume.superblock
  const page = pages.change(Math.floor(SUPERBLOCK_AT / blockBytes))
  const at = SUPERBLOCK_AT % blockBytes
  page.writeInt32LE(nowSeconds, at + TIME_AT)
  page.writeUInt32LE(cleanState(nowSeconds), at + STATE_AT)
  page[at + MODIFIED_AT] = 0
  pages.flush()
}

/**
 * Edit an image where it is: for a file of one's own that is thrown away when this fails.
 *
 * @param options `shown` is the name for messages, where the operator knows another
 * @throws {BuildError} when it can't be edited; what was written by then is in the file
 */
export async function editUfsInPlace<T>(
  path: string,
  work: (ufs: Ufs) => T | Promise<T>,
  options: EditOptions & { shown?: string } = {},
): Promise<T> {
  const { nowSeconds = Math.floor(Date.now() / 1000), shown = path } = options
  const volume = openVolume(path, shown, 'r+', nowSeconds)
  try {
    requireClean(volume)
    const result = await work({ ...readerOf(volume), ...editorOf(volume) })
    if (volume.torn !== undefined) {
      throw new BuildError(`Cannot edit "${shown}": content of "${volume.torn}" was not written`)
    }
    finish(volume)
    return result
  } finally {
    volume.pages.close()
  }
}

/**
 * Edit a copy of an image, which takes its place, or that of `to`, when all is written and on the
 * disk. When anything fails the original is as it was, and nothing is left behind.
 *
 * @throws {BuildError} for images that we do not understand, and whatever `work` throws
 */
export async function editUfs<T>(
  path: string,
  work: (ufs: Ufs) => T | Promise<T>,
  { to = path, ...options }: EditOptions & { to?: string } = {},
): Promise<T> {
  closeSync(openImage(path, 'r')) // says what is wrong in words, copyFile does not
  const partial = `${to}.partial`
  try {
    await copyFile(path, partial, constants.COPYFILE_FICLONE)
    const result = await editUfsInPlace(partial, work, { ...options, shown: path })
    await rename(partial, to)
    await syncDirectory(dirname(to))
    return result
  } catch (error) {
    await rm(partial, { force: true })
    throw explain(`edit "${path}"`, error)
  }
}

/** A rename is on the disk when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
