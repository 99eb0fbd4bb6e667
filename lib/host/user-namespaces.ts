/**
 * Can this user build in a user name space? It takes subordinate user and group ids, and a kernel
 * that lets ordinary users make name spaces.
 */
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'

/** How many subordinate ids a system's users need. */
const IDS = 65536

/** Does an /etc/subuid or /etc/subgid give the user enough ids? Lines are `user:first:count`. */
export function hasSubordinateIds(table: string, user: string, uid: number): boolean {
  return table.split('\n').some((line) => {
    const [who, , count] = line.split(':')
    return (who === user || who === String(uid)) && Number(count) >= IDS
  })
}

/** @throws {HostError} with the command that fixes it, when this user can't */
export async function checkUserNamespaces(): Promise<void> {
  const { username, uid } = userInfo()
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    const table = await readFile(file, 'utf8').catch(() => '')
    if (hasSubordinateIds(table, username, uid)) continue
    throw new HostError(`User ${username} has no ${IDS} subordinate ids in ${file}`, {
      hint: `Run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
    })
  }
  const { exitCode } = await $({
    nothrow: true,
    readOnly: true,
  })`unshare --user --map-root-user --map-auto true`
  if (exitCode === 0) return
  throw new HostError('This kernel lets no ordinary user make a user name space', {
    hint: 'Run: sudo sysctl kernel.unprivileged_userns_clone=1 (or build as root)',
  })
}
