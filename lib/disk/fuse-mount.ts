/**
 * An ext file system in a disk file, mounted by fuse2fs to be read: no loop device, no rights of root.
 */
import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { tool } from '../host/tools.ts'

const FUSE = '/dev/fuse'

/** What it needs of this machine. */
export const fuseMountTools = [
  tool('fuse2fs', 'fuse2fs', "reads a disk's files"),
  // Only root may end a mount by itself.
  ...(process.getuid?.() === 0 ? [] : [tool('fusermount', 'fuse3', 'ends the mount again')]),
]

/** @throws {HostError} where the kernel lets nobody mount so */
export function checkFuse(device = FUSE): void {
  if (existsSync(device)) return
  throw new HostError(`Cannot take files out of a disk: this machine has no ${device}`, {
    hint: 'Run: modprobe fuse; a container has to be given the device (--device /dev/fuse)',
  })
}

/** Inode of an ext file system's uppermost directory. */
const ROOT_INODE = 2

let warned = false
/** fuse2fs 1.47.2 has libfuse make the numbers of inodes up: two names of a file have two. */
async function warnOfHardLinks(directory: string): Promise<void> {
  if (session.dryRun) return
  const inode = await stat(directory).then(
    ({ ino }) => ino,
    () => undefined, // damaged: who reads it says so
  )
  if (inode === undefined || inode === ROOT_INODE || warned) return
  warned = true
  log.warn("This machine's fuse2fs does not tell hard links: every name is a file of its own")
}

/** A journal that was not played back is left as it is; fuse2fs 1.47 refuses such a file system otherwise. */
const AS_IT_IS = 'norecovery'

/**
 * Make a directory and mount a file system there until the scope ends.
 *
 * @param offset bytes from the disk's beginning
 * @throws {BuildError} in fuse2fs' words
 */
export async function mountExt(
  disk: string,
  offset: number,
  directory: string,
  scope: Scope,
  { leaveJournal = false } = {},
): Promise<void> {
  await act(`make ${directory}`, () => mkdir(directory))
  // Before it is mounted: an interruption may come when it is, and fuse2fs has not yet said so.
  scope.defer(`Unmount ${directory}`, async () => {
    const end = process.getuid?.() === 0 ? ['umount'] : ['fusermount', '-u']
    await $({ undo: true, nothrow: true })`${end} ${directory}`
  })
  // Whoever runs this reads what is root's.
  const options = ['ro', 'fakeroot', ...(leaveJournal ? [AS_IT_IS] : []), `offset=${offset}`]
  await $`fuse2fs -o ${options.join(',')} ${disk} ${directory}`
  await warnOfHardLinks(directory)
}
