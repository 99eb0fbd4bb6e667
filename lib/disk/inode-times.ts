/**
 * Times of a new ext4 file system's files. mke2fs takes them from the directory that it is filled from: when a file
 * was changed and read there says when it was built, not what it is, and nobody can set it but the file system itself.
 * debugfs can, in the file system that was made.
 *
 * Source: debugfs(8), set_inode_field, show_super_stats; e2fsprogs, lib/ext2fs/openfs.c (E2FSPROGS_FAKE_TIME).
 */
import { rm, writeFile } from 'node:fs/promises'
import { BuildError } from '../cli/errors.ts'
import { $, act } from '../cli/run.ts'
import { session } from '../cli/session.ts'

/** The first inode that is not the file system's own; mke2fs uses one after the other from there on. */
const FIRST = 11

/** debugfs' commands for inodes up to the last one that is in use. */
export function inodeTimesCommands(last: number, epochSeconds: number): string {
  const lines: string[] = []
  for (let inode = FIRST; inode <= last; inode += 1) {
    lines.push(`sif <${inode}> atime @${epochSeconds}`, `sif <${inode}> ctime @${epochSeconds}`)
  }
  return `${lines.join('\n')}\n`
}

/** How many inodes are in use, by what debugfs says of the superblock. @throws {BuildError} where it does not */
export function usedInodes(header: string): number {
  const count = (name: string) => Number(new RegExp(`^${name}: +(\\d+)$`, 'm').exec(header)?.[1])
  const used = count('Inode count') - count('Free inodes')
  if (used >= FIRST) return used
  throw new BuildError('Cannot date the files of the new file system: debugfs counts no inodes')
}

/**
 * Date the change and the last access of every file.
 *
 * @param offset of the file system in the disk, in bytes
 * @param env of mkfs.ext4: the file system's own times
 * @throws {BuildError} in debugfs' words
 */
export async function dateInodes(
  disk: string,
  offset: number,
  epochSeconds: number,
  env: Record<string, string>,
): Promise<void> {
  const place = `${disk}?offset=${offset}`
  // Not dumpe2fs: that of e2fsprogs 1.47.2 knows no offset.
  const { stdout: header } = await $`debugfs -R ${'show_super_stats -h'} ${place}`
  const commands = `${disk}.inode-times`
  const last = session.dryRun ? FIRST : usedInodes(header)
  try {
    await act(`write ${commands}: for debugfs, the times of all inodes`, () =>
      writeFile(commands, inodeTimesCommands(last, epochSeconds)),
    )
    // It repeats every command, and exits with 0 whatever happens.
    const script = 'exec debugfs -w -f "$1" "$2" >/dev/null'
    const { stderr } = await $({ env })`sh -c ${[script]} sh ${commands} ${place}`
    const complaint = stderr.split('\n').find((line) => line !== '' && !line.startsWith('debugfs '))
    if (complaint !== undefined) {
      throw new BuildError(`Cannot date the files of the new file system: ${complaint}`)
    }
  } finally {
    await rm(commands, { force: true })
  }
}
