/**
 * The root tar of a disk: its files read through fuse2fs, so that no loop device and no rights of root are
 * needed. Builds make theirs otherwise, without a file system that is mounted (lib/methods).
 */
import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError, HostError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import { findRoot } from '../disk/root-place.ts'
import { tool } from '../host/tools.ts'
import { rootTarWords } from '../methods/root-tar.ts'
import { gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'
import { plainFile } from './plain-file.ts'

const FUSE = '/dev/fuse'

/** What it needs of this machine. */
export const diskTarTools = [
  tool('fuse2fs', 'fuse2fs', "reads a disk's files"),
  tool('sfdisk', 'fdisk', 'reads the partition table'),
  tool('tar', 'tar', 'packs the files'),
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

/**
 * Write the gzipped root tar of a raw disk.
 *
 * @throws {BuildError} when it has no root file system, or one that fuse2fs can't read
 */
export async function writeDiskTar(
  disk: string,
  path: string,
  scope: Scope,
  report: Report,
): Promise<ImageFile> {
  const { offset, kind } = await findRoot(disk)
  if (kind !== 'ext') {
    throw new BuildError(`Cannot take files out of "${disk}": its root file system is XFS`, {
      hint: 'Only ext4 can be read without a mount; --format tgz of a build makes a tar of any',
    })
  }
  const work = await scope.tempDir('convert-image')
  const root = join(work, 'root')
  const tar = join(work, 'root.tar')
  await mkdir(root)
  // The offset counts from the disk's beginning; whoever runs this reads what is root's.
  await $`fuse2fs -o ${`ro,fakeroot,offset=${offset}`} ${disk} ${root}`
  scope.defer(`Unmount ${root}`, async () => {
    const end = process.getuid?.() === 0 ? ['umount'] : ['fusermount', '-u']
    await $({ undo: true, nothrow: true })`${end} ${root}`
  })
  await $`${rootTarWords(root, tar, Math.ceil((await stat(disk)).mtimeMs / 1000))}`
  const signal = stopSignal()
  return writeImageFile(gzip(plainFile(tar, report), { signal }), path, { signal })
}
