/**
 * A build's temporary files in memory: a tmpfs on its directory, where the machine has enough and lets us mount.
 * Thousands of small files are written there, read once and removed again, which a disk takes many times longer for.
 */
import { readFile } from 'node:fs/promises'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { unmountBelow } from '../cli/abandoned.ts'
import type { Build } from '../methods/method.ts'

const GIB = 1024 ** 3
/** Of the bytes that packages say they have: the tree, the disk, and what packing takes. */
const COPIES = 2.5
/** What a set-up may add, and what stays free for the programs. */
const ROOM = 2 * GIB

/** Bytes that can be used without swapping; in a container no more than it may have. Source: proc(5), meminfo; cgroup v2. */
export async function availableMemory(): Promise<number> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => '')
  const kib = /^MemAvailable: +(\d+) kB/m.exec(await read('/proc/meminfo'))?.[1]
  const most = Number.parseInt(await read('/sys/fs/cgroup/memory.max'), 10)
  const used = Number.parseInt(await read('/sys/fs/cgroup/memory.current'), 10)
  const left = Number.isNaN(most) || Number.isNaN(used) ? Infinity : most - used
  return Math.min(Number(kib ?? 0) * 1024, left)
}

/**
 * Put the directory of the build into memory, when that is wanted and possible.
 *
 * @throws {HostError} when memory was asked for, and can't be had
 */
export async function workInMemory({ recipe, pin, scope, work }: Build): Promise<void> {
  if (recipe.work === 'disk' || (recipe.work === 'auto' && (!pin || session.keep))) return
  const asked = recipe.work === 'memory'
  const needed = (pin?.lock.installedBytes ?? 0) * COPIES + ROOM
  const available = await availableMemory()
  const gib = (bytes: number) => (bytes / GIB).toFixed(1)
  if (available < needed) {
    if (!asked) return
    throw new HostError(
      `Cannot work in memory: the build needs ${gib(needed)} GiB, and ${gib(available)} GiB are free`,
      { hint: 'Choose --work disk' },
    )
  }
  // Not all of it: the machine has to go on when a script fills it.
  const size = `size=${Math.floor(available * 0.75)},mode=0700`
  const { exitCode, stderr } = await $({ nothrow: true })`mount -t tmpfs -o ${size} tmpfs ${work}`
  if (exitCode === 0) {
    scope.defer(`Unmount ${work}`, () => (session.dryRun ? Promise.resolve() : unmountBelow(work)))
  } else if (asked) {
    throw new HostError(`Cannot work in memory: ${stderr.trim()}`, { hint: 'Choose --work disk' })
  } else
    log.info(
      'Working on the disk: a tmpfs can be mounted by root only, in a container by a privileged one',
    )
}
