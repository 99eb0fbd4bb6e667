/**
 * The root tar of a disk: its files read through fuse2fs, so that no loop device and no rights of root are
 * needed. Builds make theirs otherwise, without a file system that is mounted (lib/methods).
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import { fuseMountTools, mountExt } from '../disk/fuse-mount.ts'
import { findRoot } from '../disk/root-place.ts'
import { tool } from '../host/tools.ts'
import { rootTarWords } from '../methods/root-tar.ts'
import { gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'
import { plainFile } from './plain-file.ts'

/** What it needs of this machine. */
export const diskTarTools = [
  ...fuseMountTools,
  tool('sfdisk', 'fdisk', 'reads the partition table'),
  tool('tar', 'tar', 'packs the files'),
]

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
  await mountExt(disk, offset, root, scope)
  await $`${rootTarWords(root, tar, Math.ceil((await stat(disk)).mtimeMs / 1000))}`
  const signal = stopSignal()
  return writeImageFile(gzip(plainFile(tar, report), { signal }), path, { signal })
}
