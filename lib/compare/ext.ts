/**
 * An ext file system as it is on the disk: its superblock as facts, by dumpe2fs, and its files, by fuse2fs and tar.
 * Nothing is written to the disk: a journal that was not played back stays so.
 */
import { join } from 'node:path'
import { outputBytes } from '../cli/output-bytes.ts'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { fuseMountTools, mountExt } from '../disk/fuse-mount.ts'
import { tool } from '../host/tools.ts'
import type { Fact } from './difference.ts'
import { type Files, readTarFiles, type ReadTarOptions } from './tar-files.ts'

export const extTools = [
  ...fuseMountTools,
  tool('dumpe2fs', 'e2fsprogs', "reads a file system's superblock"),
  tool('tar', 'tar', "packs a disk's files"),
]

/** Fields of the superblock that hold times, or follow from them. */
const TIMES = /created$|time$|checked$|^Next check|^Checksum$/
/** What every ext file system says the same, or what is no field. */
const NO_FIELDS = /^(dumpe2fs |Filesystem magic|Filesystem OS)/

/** The lines of `dumpe2fs -h`. */
export function parseSuperblock(text: string, { ignoreTimes = false } = {}): Fact[] {
  return text.split('\n').flatMap((line): Fact[] => {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? []
    if (!name || NO_FIELDS.test(line) || (ignoreTimes && TIMES.test(name))) return []
    return [[name, value!.trim()]]
  })
}

/** @param disk a path without question marks @throws {BuildError} in dumpe2fs' words, when it is damaged */
export async function readSuperblock(
  disk: string,
  offset: number,
  options: { ignoreTimes: boolean },
): Promise<Fact[]> {
  const { stdout } = await $({ env: { TZ: 'UTC' } })`dumpe2fs -h ${`${disk}?offset=${offset}`}`
  return parseSuperblock(stdout, options)
}

/** The words of tar: everything as it is, no time clamped, nothing left out. */
function tarWords(root: string): string[] {
  return [
    ...['tar', '--create', '--file', '-', '--directory', root],
    ...['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*'],
    ...['--format=pax', '--pax-option=delete=atime,delete=ctime', '--sort=name'],
    '.',
  ]
}

/**
 * Its files; mounted below `work` until the scope ends.
 *
 * @throws {BuildError} in the words of fuse2fs or tar
 */
export async function readExtFiles(
  { disk, offset, shown }: { disk: string; offset: number; shown: string },
  work: string,
  scope: Scope,
  options: ReadTarOptions,
): Promise<Files> {
  const root = join(work, 'root')
  await mountExt(disk, offset, root, scope, { leaveJournal: true })
  return readTarFiles(outputBytes(tarWords(root), `read the files of "${shown}"`), shown, options)
}
