/**
 * What a killed build has left behind: its temporary directories, what is mounted in them, and programs of it
 * that still run there. The next build takes it away, as nobody else would.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { log } from './log.ts'
import { isAbandoned } from './owned.ts'
import { $ } from './run.ts'

/** Where things are mounted at or below a directory, innermost first. Source: proc(5), mounts. */
export function mountsBelow(directory: string, table: string): string[] {
  return table
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .map((path) =>
      path.replaceAll(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))),
    )
    .filter((path) => path === directory || path.startsWith(`${directory}/`))
    .reverse()
}

/** Processes whose root or working directory is in there. */
function processesIn(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) =>
      ['root', 'cwd'].some((link) => {
        try {
          const path = readlinkSync(`/proc/${pid}/${link}`)
          return path === directory || path.startsWith(`${directory}/`)
        } catch {
          return false // it has ended, or is somebody else's
        }
      }),
    )
    .map(Number)
}

/** Unmount all that is mounted at a directory and below it, whatever still uses it. */
export async function unmountBelow(directory: string): Promise<void> {
  let table = ''
  try {
    table = readFileSync('/proc/self/mounts', 'utf8')
  } catch {
    return // no Linux
  }
  for (const path of mountsBelow(directory, table)) {
    await $({ undo: true, nothrow: true })`umount --lazy ${path}`
  }
}

async function remove(path: string): Promise<void> {
  for (const pid of processesIn(path)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended by itself
    }
  }
  await unmountBelow(path)
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Files of a name space's users, which this user may remove only in one.
    const clear = ['find', path, '-mindepth', '1', '-delete']
    await $({ undo: true })`unshare --user --map-root-user --map-auto -- ${clear}`
    await rm(path, { recursive: true, force: true })
  }
}

/** Remove directories in `parent` of this prefix, and with names as owned.ts makes them, whose process is gone. */
export async function removeAbandoned(parent: string, prefix: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  for (const name of names.filter((one) => one.startsWith(prefix) && isAbandoned(one))) {
    const path = join(parent, name)
    // Everybody may write to /tmp: a link of another user's could lead to anything of ours.
    const found = await lstat(path).catch(() => undefined)
    if (!found || found.isSymbolicLink() || found.uid !== process.getuid?.()) continue
    log.info(`Removing ${path}, which a build that was killed has left`)
    await remove(path).catch((error: unknown) => {
      log.warn(`Cannot remove ${path}: ${error instanceof Error ? error.message : String(error)}`)
    })
  }
}
