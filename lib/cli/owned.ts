/**
 * Names of temporary directories that say whose they are, so that what a killed build left is known for it by
 * the next one: `<prefix>-<where>-<process>-<random>`, where <where> tells one container or boot from another,
 * as a process number says nothing elsewhere.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync, statSync } from 'node:fs'

const NAME = /-(?<where>[0-9a-f]{8})-(?<pid>\d+)-(?<random>[A-Za-z0-9]+)$/

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

/** What stands before the random part, for mkdtemp. */
export const ownedPrefix = (prefix: string) => `${prefix}-${where()}-${process.pid}-`

export const ownedName = (prefix: string, random: string) => `${ownedPrefix(prefix)}${random}`

/**
 * Was this directory made by a process that is gone?
 *
 * @param madeMs when it was made; a process that is younger only has the number of the one that made it
 */
export function isAbandoned(name: string, madeMs: number): boolean {
  const { where: there, pid } = NAME.exec(name)?.groups ?? {}
  if (there !== where() || pid === undefined) return false
  try {
    return statSync(`/proc/${pid}`).ctimeMs > madeMs + 1000
  } catch {
    return true
  }
}
