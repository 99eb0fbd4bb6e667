/**
 * An ext file system as it is on the disk: its superblock and that of its journal as facts, by tune2fs
 * and debugfs, and its files, by fuse2fs and tar.
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
  tool('tune2fs', 'e2fsprogs', "reads a file system's superblock"),
  tool('debugfs', 'e2fsprogs', "reads a file system's journal"),
  tool('tar', 'tar', "packs a disk's files"),
]

/** Fields of the superblock that hold times, or follow from them. */
const TIMES = /created$|time$|checked$|^Next check|^Checksum$/
/** What every ext file system says the same, or what is no field. */
const NO_FIELDS = /^(Filesystem magic|Filesystem OS)/

/** The lines of `tune2fs -l`, and of debugfs' `logdump -S`. */
export function parseSuperblock(text: string, { ignoreTimes = false } = {}): Fact[] {
  return text.split('\n').flatMap((line): Fact[] => {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? []
    if (!name || NO_FIELDS.test(line) || (ignoreTimes && TIMES.test(name))) return []
    return [[name, value!.trim()]]
  })
}

/** @param disk a path without question marks @throws {BuildError} in tune2fs' words, when it is damaged */
export async function readSuperblock(
  disk: string,
  offset: number,
  options: { ignoreTimes: boolean },
): Promise<Fact[]> {
  // Not dumpe2fs, which says both: that of e2fsprogs 1.47.2 knows no offset.
  const place = `${disk}?offset=${offset}`
  const own = await $({ env: { TZ: 'UTC' } })`tune2fs -l ${place}`
  const journal = await $`debugfs -R ${'logdump -S'} ${place}` // says nothing where there is none
  return parseSuperblock(`${own.stdout}\n${journal.stdout}`, options)
}

/** Where the files of a disk are mounted, below a directory for what is made of it. */
export const mountOf = (work: string) => join(work, 'root')

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
  const root = mountOf(work)
  await mountExt(disk, offset, root, scope, { leaveJournal: true })
  return readTarFiles(outputBytes(tarWords(root), `read the files of "${shown}"`), shown, options)
}
