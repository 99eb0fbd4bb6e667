/** LVM2's own tools on a part of a disk file, by a loop device and without a device mapper. */
import { execFileSync } from 'node:child_process'
import { needPackages } from './live.ts'

needPackages({ pvck: 'lvm2', losetup: 'mount', 'grub-fstest': 'grub-common' })

/** What a command prints. */
export const sh = (words: string[], env: Record<string, string> = {}) =>
  execFileSync(words[0]!, words.slice(1), {
    encoding: 'utf8',
    env: { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

/** What one of lvm's commands prints; it sees this device only, and no kernel. */
export const lvm = (device: string, name: string, ...words: string[]) =>
  sh([
    name,
    ...['--driverloaded', 'n'],
    ...['--config', `devices{filter=["a|^${device}$|","r|.*|"] use_devicesfile=0}`],
    ...words,
  ])

/** The columns of pvs, vgs or lvs, sizes in bytes, with one blank between them. */
export const report = (device: string, name: string, columns: string) =>
  lvm(device, name, '--noheadings', '--units', 'b', '--nosuffix', '-o', columns)
    .trim()
    .split(/ +/)
    .join(' ')

/** A device that begins at this offset of a disk, while `work` runs. */
export async function withLoop(
  disk: string,
  offset: number,
  work: (device: string) => Promise<void>,
): Promise<void> {
  const device = sh(['losetup', '--find', '--show', '--offset', `${offset}`, disk]).trim()
  try {
    await work(device)
  } finally {
    sh(['losetup', '--detach', device])
  }
}
