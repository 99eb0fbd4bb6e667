/**
 * The packages' files in the cache: fetched by apt's own helper, each looked at before it is used. A file that is
 * not what the lock says, a download that was cut off say, counts as missing.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { isAbandoned, ownedName } from '../cli/owned.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { shellCommand } from '../cli/shell-words.ts'
import { makeParents } from '../host/directories.ts'
import type { Apt } from './apt.ts'
import type { LockedPackage } from './lock.ts'

const HELPER = '/usr/lib/apt/apt-helper'

/** As apt calls the file in its own cache. */
export const fileOf = ({ name, version, arch }: LockedPackage) =>
  `${name}_${version.replaceAll(':', '%3a')}_${arch}.deb`

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece)
  return hash.digest('hex')
}

async function isWhole(path: string, { bytes, sha256 }: LockedPackage): Promise<boolean> {
  const { size } = await stat(path).catch(() => ({ size: -1 }))
  return size === bytes && (await sha256Of(path)) === sha256
}

/** Those whose file is not in the cache, or not what it should be. */
export async function missingFrom(
  store: string,
  packages: readonly LockedPackage[],
): Promise<LockedPackage[]> {
  const missing: LockedPackage[] = []
  for (const one of packages) {
    if (!(await isWhole(join(store, fileOf(one)), one))) missing.push(one)
  }
  return missing
}

/** apt-helper's words: an address, the file that it becomes, and its digest, in turn. */
export function fetchWords(
  packages: readonly LockedPackage[],
  directory: string,
  addressOf: (one: LockedPackage) => string = ({ uri }) => uri,
): string[] {
  return packages.flatMap((one) => [
    addressOf(one),
    join(directory, fileOf(one)),
    `SHA256:${one.sha256}`,
  ])
}

/**
 * Bytes of words for one call. A program is started by a shell, which gets them as one argument; Linux refuses one of
 * 128 KiB. Source: execve(2), "Limits on size of arguments and environment" (MAX_ARG_STRLEN).
 */
const MOST_BYTES = 100_000

/** Packages in groups whose words are few enough. */
export function* callsOf(
  packages: readonly LockedPackage[],
  wordsOf: (one: LockedPackage) => string[],
): Generator<LockedPackage[]> {
  let group: LockedPackage[] = []
  let bytes = 0
  for (const one of packages) {
    const own = Buffer.byteLength(shellCommand({ words: wordsOf(one) })) + 1
    if (group.length > 0 && bytes + own > MOST_BYTES) {
      yield group
      group = []
      bytes = 0
    }
    group.push(one)
    bytes += own
  }
  if (group.length > 0) yield group
}

export type Fetch = {
  apt: Apt
  scope: Scope
  /** The directory that keeps them. */
  store: string
  /** Where a package may be; tried in turn, as far as they know. */
  places: readonly ((one: LockedPackage) => string | undefined)[]
  explainApt: (output: string) => BuildError
}

/**
 * Bring what is missing into the cache.
 *
 * @throws {BuildError} when one can't be fetched, in apt's words; what came whole is kept for the next build
 */
export async function fetchPackages(
  missing: readonly LockedPackage[],
  { apt, scope, store, places, explainApt }: Fetch,
  report: Report,
): Promise<void> {
  // Of this build alone: another one may fetch the same at this moment.
  const directory = join(store, ownedName('fetching'))
  await act(`make ${directory}`, async () => {
    await makeParents(store)
    await mkdir(directory)
  })
  const keep = () => keepWhole(missing, directory, store)
  scope.onFailure(`Keep what came whole of ${directory}`, keep)
  const all = missing.reduce((sum, { bytes }) => sum + bytes, 0)
  const sizes = new Map(missing.map((one) => [fileOf(one), one.bytes]))
  let done = 0
  let left = [...missing]
  let said = ''
  for (const addressOf of places) {
    const now = left.filter((one) => addressOf(one) !== undefined)
    if (now.length === 0) continue
    let output = ''
    const wordsOf = (some: readonly LockedPackage[]) =>
      fetchWords(some, directory, (one) => addressOf(one)!)
    for (const some of callsOf(now, (one) => wordsOf([one]))) {
      const words = wordsOf(some)
      const { exitCode, stdout, stderr } = await apt({
        nothrow: true,
        onLine: (line) => {
          const [, name] = /^Get:\d+ \S*\/(\S+)/.exec(line) ?? []
          if (name === undefined) return
          done += sizes.get(decodeFile(name)) ?? 0
          report(Math.min(1, done / all), name)
        },
      })`${HELPER} download-file ${words}`
      if (exitCode !== 0) output += `${stdout}\n${stderr}`
    }
    if (output === '') {
      left = left.filter((one) => !now.includes(one))
      if (left.length === 0) break
      continue
    }
    left = await missingFrom(directory, left)
    if (left.length === 0) break
    said = output // the last place is where it has to be
  }
  if (left.length > 0) throw explainApt(said)
  await act(`keep the packages in ${store}`, keep)
}

/** Keep what came whole for a build that was killed. */
export async function salvage(store: string, packages: readonly LockedPackage[]): Promise<void> {
  for (const name of await readdir(store).catch(() => [])) {
    if (name.startsWith('fetching-') && isAbandoned(name)) {
      await keepWhole(packages, join(store, name), store)
    }
  }
}

/** The file's name of the end of an address, where `+` and others are encoded. */
function decodeFile(name: string): string {
  try {
    return decodeURIComponent(name).replaceAll(':', '%3a')
  } catch {
    return name
  }
}

async function keepWhole(packages: readonly LockedPackage[], from: string, to: string) {
  const there = new Set(await readdir(from).catch(() => []))
  for (const one of packages) {
    const file = fileOf(one)
    if (!there.has(file) || !(await isWhole(join(from, file), one))) continue
    await rename(join(from, file), join(to, file))
  }
  await rm(from, { recursive: true, force: true })
}

/** Of the first member of a package's archive. Source: ar(5); deb(5). */
const DATE = { offset: 8 + 16, length: 12 }

/** When the newest of the packages was made, in seconds: the vendor's own date, the same everywhere. */
export async function newestOf(
  store: string,
  packages: readonly LockedPackage[],
): Promise<number | undefined> {
  let newest: number | undefined
  for (const one of packages) {
    const file = await open(join(store, fileOf(one)))
    try {
      const text = Buffer.alloc(DATE.length)
      await file.read(text, 0, text.length, DATE.offset)
      const made = Number(text.toString('latin1').trim())
      if (Number.isSafeInteger(made) && made > (newest ?? 0)) newest = made
    } finally {
      await file.close()
    }
  }
  return newest
}
