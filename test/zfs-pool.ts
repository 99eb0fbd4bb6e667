/**
 * A pool of a real ZFS for live tests: zfs-fuse, of the OpenSolaris lineage, in a file. It has no device
 * nodes for volumes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ended, needPackages } from './live.ts'

export const sh = (script: string) =>
  execFileSync('bash', ['-c', `set -o pipefail; ${script}`], { encoding: 'utf8' })

function answers(): boolean {
  try {
    sh('zpool list 2>/dev/null')
    return true
  } catch {
    return false
  }
}

async function startDaemon(): Promise<ChildProcess> {
  const daemon = spawn('zfs-fuse', ['--no-daemon', '--no-kstat-mount'], { stdio: 'ignore' })
  for (let i = 0; i < 50; i++) {
    await delay(200)
    if (answers()) return daemon
  }
  throw new Error('zfs-fuse does not answer: is there a /dev/fuse?')
}

/** Make a pool of so many GiB; a daemon that runs already is used, and left alone. */
export async function makePool(
  name: string,
  dir: string,
  gib = 2,
): Promise<{ destroy: () => Promise<void> }> {
  needPackages({ 'zfs-fuse': 'zfs-fuse' })
  const daemon = answers() ? undefined : await startDaemon()
  const vdev = join(dir, 'vdev')
  await writeFile(vdev, '')
  await truncate(vdev, gib * 1024 ** 3)
  sh(`zpool create -m none ${name} ${vdev}`)
  return {
    async destroy() {
      try {
        if (answers()) sh(`zpool destroy ${name}`)
      } finally {
        daemon?.kill('SIGTERM')
        if (daemon) await ended(daemon)
      }
    },
  }
}
