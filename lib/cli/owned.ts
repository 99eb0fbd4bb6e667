/**
 * Names of temporary directories that say whose they are, so that what a killed build left is known for it by
 * the next one: `<prefix>-<where>-<process>-<ticks>-<random>`. <where> tells one container or boot from another, as a
 * process number says nothing elsewhere, and <ticks> when the process began, as numbers are given again.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'

const NAME = /-(?<where>[0-9a-f]{8})-(?<pid>\d+)-(?<ticks>\d+)-(?<random>[A-Za-z0-9]+)(\.partial)?$/

let known: string | undefined

/** This boot and name space of processes. */
function where(): string {
  known ??= createHash('sha256').update(`${boot()}/${processes()}`).digest('hex').slice(0, 8)
  return known
}

function boot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
  } catch {
    return ''
  }
}

function processes(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/** When a process began, in clock ticks since the boot, whatever the clock is set to; undefined: there is none. */
function begun(pid: number | string): string | undefined {
  try {
    // Behind the program's name, which may hold anything. Source: proc(5), /proc/PID/stat, starttime.
    const [, rest = ''] = /\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return rest.split(' ')[19]
  } catch {
    return undefined
  }
}

/** What stands before the random part, for mkdtemp. */
export const ownedPrefix = (prefix: string) =>
  `${prefix}-${where()}-${process.pid}-${begun(process.pid) ?? 0}-`

/** For what is not made by mkdtemp. */
export const ownedName = (prefix: string) =>
  `${ownedPrefix(prefix)}${randomBytes(3).toString('hex')}`

/**
 * What is known of the process that made this. A process of its number that began at another time is another one; of
 * processes of other machines, containers and boots nothing is known.
 */
export function ownerOf(name: string): 'alive' | 'gone' | 'unknown' {
  const { where: there, pid = '', ticks } = NAME.exec(name)?.groups ?? {}
  if (there !== where()) return 'unknown'
  return begun(pid) === ticks ? 'alive' : 'gone'
}

export const isAbandoned = (name: string) => ownerOf(name) === 'gone'
