/**
 * The root tar of a disk: its files read through fuse2fs, so that no loop device and no rights of root are
 * needed. Builds make theirs otherwise, without a file system that is mounted (lib/methods).
 */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
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
  tool('e2fsck', 'e2fsprogs', 'plays a journal back'),
  tool('sfdisk', 'fdisk', 'reads the partition table'),
  tool('tar', 'tar', 'packs the files'),
]

/** What a superblock says when a journal has changes that are not yet in their places. Source: Linux, fs/ext4/ext4.h */
const RECOVER = { at: 1024 + 0x60, flag: 0x4 }

async function needsRecovery(disk: string, offset: number): Promise<boolean> {
  const file = await open(disk)
  try {
    const features = Buffer.alloc(4)
    await file.read(features, 0, features.length, offset + RECOVER.at)
    return (features.readUInt32LE() & RECOVER.flag) !== 0
  } finally {
    await file.close()
  }
}

/** @throws {BuildError} in e2fsck's words. Source: e2fsck(8), exit code: 1 is that something was mended */
async function playJournal(fileSystem: string): Promise<void> {
  const { exitCode, stdout, stderr } = await $({
    nothrow: true,
  })`e2fsck -y -E journal_only ${fileSystem}`
  if ((exitCode ?? 0) <= 1) return
  throw new BuildError(`Cannot play back the journal of a copy of the root file system`, {
    hint: `e2fsck says: ${oneLine(`${stdout} ${stderr}`)}`,
  })
}

/**
 * Write the gzipped root tar of a raw disk, which is not written to: where a journal has to be played back, as of a
 * machine that was switched off, that is done in a copy.
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
  if (await needsRecovery(disk, offset)) {
    // From where it begins: behind its work on a journal libext2fs forgets the offset.
    const copy = join(work, 'root.ext4')
    await $`dd if=${disk} of=${copy} bs=1M iflag=skip_bytes skip=${offset} conv=sparse status=none`
    await playJournal(copy)
    await mountExt(copy, 0, root, scope)
  } else await mountExt(disk, offset, root, scope)
  await $`${rootTarWords(root, tar, Math.ceil((await stat(disk)).mtimeMs / 1000))}`
  const signal = stopSignal()
  return writeImageFile(gzip(plainFile(tar, report), { signal }), path, { signal })
}
