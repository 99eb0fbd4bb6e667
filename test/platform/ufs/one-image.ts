/** One image at a time, for the tests of single edits: made, edited and checked, read. */
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { editUfs, openUfs, type Ufs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import type { UfsReader } from '../../../platform/ufs/reader.ts'
import { type Given, mkufs } from './mkufs.ts'
import { imageDir, NOW } from './model.ts'

export const { dir, remove } = imageDir()
export const path = join(dir, 'boot_archive')
export const MIB = 1024 ** 2

/** An image of the usual geometry with these files. */
export const make = (given: Given[], bytes = 6 * MIB) =>
  mkufs(path, { bytes, nowSeconds: 1000 }, given)
export const text = (content: string) => Buffer.from(content)

/** Edit the image, which has to be good afterwards. */
export async function edit<T>(work: (ufs: Ufs) => T): Promise<T> {
  const result = await editUfs(path, work, { nowSeconds: NOW })
  assert.equal(fsck(path), [])
  return result
}

export function read<T>(work: (ufs: UfsReader) => T): T {
  const ufs = openUfs(path)
  try {
    return work(ufs)
  } finally {
    ufs.close()
  }
}

/** Files of every kind. */
export const tree: Given[] = [
  { type: 'directory', path: '/etc', mode: 0o755, uid: 0, gid: 3 },
  { type: 'file', path: '/etc/shadow', content: text('root:x:\n'), mode: 0o400, uid: 4, gid: 5 },
  { type: 'file', path: '/etc/inet/ntp.conf', content: text('server a\n'), mtimeSeconds: 500 },
  { type: 'symlink', path: '/etc/ntp.conf', target: './inet/ntp.conf' },
  { type: 'symlink', path: '/bin', target: './usr/bin' },
  { type: 'symlink', path: '/absolute', target: '/usr/bin' },
  { type: 'symlink', path: '/round', target: 'round' },
  { type: 'file', path: '/usr/bin/sh', content: text('#!'), mode: 0o4755 },
  { type: 'link', path: '/usr/bin/ksh', to: '/usr/bin/sh' },
  { type: 'character device', path: '/dev/console', device: 0x1234, mode: 0o620 },
  { type: 'block device', path: '/dev/disk', device: 7 },
  { type: 'fifo', path: '/dev/initpipe', mode: 0o600 },
]
