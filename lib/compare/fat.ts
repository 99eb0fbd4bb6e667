/**
 * An EFI system partition: the parameters of its FAT as facts, and its files, by mtools.
 *
 * Source: Microsoft, "FAT32 File System Specification" 1.03, "Boot Sector and BPB".
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { $, act } from '../cli/run.ts'
import { TOOLS } from '../host/tools.ts'
import type { Fact } from './difference.ts'
import { type FileEntry, type Files, inOrder, isText, LONGEST_TEXT } from './tar-files.ts'

export const fatTools = [{ ...TOOLS.mcopy, why: 'reads the EFI system partition' }]

/** What the boot sector says; undefined: it is none of a FAT. */
export function fatFacts(sector: Buffer): Fact[] | undefined {
  if (sector.length < 512 || sector.readUInt16LE(510) !== 0xaa55) return undefined
  const sectorBytes = sector.readUInt16LE(11)
  if (![512, 1024, 2048, 4096].includes(sectorBytes)) return undefined
  const is32 = sector.readUInt16LE(22) === 0 // sectors of a table, 16 bits
  const own = is32 ? 64 : 36 // where the fields begin that are at another place in FAT32
  const text = (at: number, bytes: number) =>
    sector
      .toString('latin1', at, at + bytes)
      .replaceAll(/[^\x20-\x7e]/g, '?')
      .trim()
  const id = sector
    .readUInt32LE(own + 3)
    .toString(16)
    .padStart(8, '0')
  return [
    ['volume id', id],
    ['label', text(own + 7, 11)],
    ['kind', text(own + 18, 8)],
    ['made by', text(3, 8)],
    ['size', `${sector.readUInt16LE(19) || sector.readUInt32LE(32)} sectors`],
    ['sector size', `${sectorBytes} bytes`],
    ['cluster size', `${sector.readUInt8(13)} sectors`],
    ['reserved', `${sector.readUInt16LE(14)} sectors`],
    ['tables', String(sector.readUInt8(16))],
    ['table size', `${sector.readUInt16LE(22) || sector.readUInt32LE(36)} sectors`],
    ['hidden', `${sector.readUInt32LE(28)} sectors`],
  ]
}

/**
 * Its files, which lie in `work` for a moment: size, time and content are all that FAT has of them.
 *
 * @param disk a path without @@
 * @throws {BuildError} in mcopy's words
 */
export async function readFatFiles(
  disk: string,
  offset: number,
  work: string,
  keepTexts: boolean,
): Promise<Files> {
  const root = join(work, 'esp')
  await act(`make ${root}`, () => mkdir(root))
  // FAT's times have no zone; the checks of mtools refuse file systems that firmware reads.
  const env = { TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' }
  await $({ env })`mcopy -s -m -n -i ${`${disk}@@${offset}`} ::/ ${root}`
  const names = await readdir(root, { recursive: true })
  const files: Files = new Map()
  for (const name of names.sort(inOrder)) files.set(name, await fileAt(join(root, name), keepTexts))
  return files
}

async function fileAt(path: string, keepTexts: boolean): Promise<FileEntry> {
  const found = await stat(path)
  const same = { mode: '', owner: '', attributes: new Map<string, string>() }
  const mtime = String(Math.floor(found.mtimeMs / 1000))
  if (found.isDirectory()) return { ...same, type: 'directory', size: 0, mtime }
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  const file = { ...same, type: 'file', size: found.size, mtime, digest: hash.digest('hex') }
  if (!keepTexts || found.size > LONGEST_TEXT) return file
  const bytes = await readFile(path)
  return isText(bytes) ? { ...file, text: bytes.toString('utf8') } : file
}
