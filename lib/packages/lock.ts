/**
 * The lock of an image: every package that is in it, by version and digest, and when its files are dated. Every
 * build writes one; a build that is given it (--locked) uses these packages and no others.
 */
import { createHash } from 'node:crypto'
import type { Arch } from '../../distros/distro.ts'
import { BuildError, UsageError } from '../cli/errors.ts'
import { readSmallFile } from '../cli/small-file.ts'

export const LOCK = 'lock.json'

export type LockedPackage = {
  name: string
  version: string
  arch: string
  /** Where it was when it was chosen. */
  uri: string
  bytes: number
  sha256: string
}

/** A signed list of packages: the state that a mirror was in. */
export type LockedSource = { uri: string; suite: string; date?: string; sha256?: string }

export type PackageLock = {
  lock: 1
  distro: string
  release: string
  arch: Arch
  /** Seconds; of everything in the image that has a date. */
  epoch: number
  /** Packages that the recipe asks for; what these depend on comes along. */
  requested: string[]
  /** What a system of this distro has in any case: packages of the priority "required". */
  required: string[]
  /** Bytes of all files, as the packages say it of themselves. */
  installedBytes: number
  sources: LockedSource[]
  packages: LockedPackage[]
  /** What made it: the versions of this project and of the host's programs. */
  tools: Record<string, string>
}

const byName = (a: LockedPackage, b: LockedPackage) =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.arch < b.arch ? -1 : a.arch > b.arch ? 1 : 0

/** Sorted, as files that people compare should be. */
export const sortPackages = (packages: readonly LockedPackage[]): LockedPackage[] =>
  packages.toSorted(byName)

/** What the packages come to: the same set has the same, whichever mirror it came from. */
export function packagesDigest(
  lock: Pick<PackageLock, 'arch' | 'requested' | 'required' | 'packages'>,
): string {
  const packages = lock.packages.map(({ name, version, arch, sha256 }) => [
    name,
    version,
    arch,
    sha256,
  ])
  const content = [lock.arch, lock.requested.toSorted(), lock.required.toSorted(), packages]
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}

/** The text of the file, without names and passwords in addresses. */
export function lockText(lock: PackageLock): string {
  const text = JSON.stringify(lock, undefined, 1)
  return `${text.replaceAll(/\b(\w+:\/\/)[^\s/"]+@/g, '$1')}\n`
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string' && value !== ''
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText)
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const isPackageName: Check = (value) =>
  typeof value === 'string' && /^[a-z0-9][a-z0-9+.-]*$/.test(value)
const isNames: Check = (value) => Array.isArray(value) && value.every(isPackageName)

/** Of each package: nothing that a program could take for an option, or a path for a way out. */
const PACKAGE: Record<keyof LockedPackage, Check> = {
  name: isPackageName,
  version: (value) => typeof value === 'string' && /^[0-9A-Za-z][0-9A-Za-z.+:~-]*$/.test(value),
  arch: (value) => typeof value === 'string' && /^[a-z0-9][a-z0-9-]*$/.test(value),
  uri: (value) =>
    typeof value === 'string' && /^(https?|ftp|file|copy):\S+$/.test(value) && !/['"]/.test(value),
  bytes: isCount,
  sha256: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
}

const FIELDS: Partial<Record<keyof PackageLock, Check>> = {
  distro: isText,
  release: isText,
  arch: isText,
  epoch: (value) => isCount(value) && (value as number) < 1e11,
  requested: isNames,
  required: isNames,
  installedBytes: isCount,
  sources: (value) =>
    Array.isArray(value) && value.every((one) => isObject(one) && isText(one['uri'])),
  packages: (value) => Array.isArray(value) && value.length > 0,
  tools: (value) => isObject(value) && isTexts(Object.values(value)),
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is wrong with it, or undefined. */
function fault(value: unknown): string | undefined {
  if (!isObject(value) || value['lock'] !== 1) return 'it is no lock of this version'
  for (const [name, check] of Object.entries(FIELDS)) {
    if (!check(value[name])) return `its "${name}" is missing or wrong`
  }
  for (const one of value['packages'] as unknown[]) {
    if (!isObject(one)) return 'one of its packages is none'
    const wrong = Object.entries(PACKAGE).find(([name, check]) => !check(one[name]))
    if (wrong) return `package "${String(one['name'])}" has no "${wrong[0]}" that can be used`
  }
  return undefined
}

/** A lock from its text. @throws {BuildError} when it is none */
export function parseLock(text: string, path: string): PackageLock {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new BuildError(`Cannot read lock "${path}": it is no JSON`, { cause: error })
  }
  const wrong = fault(value)
  if (wrong !== undefined) {
    throw new BuildError(`Cannot read lock "${path}": ${wrong}`, {
      hint: 'It has to be the .lock.json that a build has written',
    })
  }
  return value as PackageLock
}

/** @throws {BuildError} when it can't be read, or is none */
export async function readLock(path: string): Promise<PackageLock> {
  return parseLock((await readSmallFile(path, `lock "${path}"`)).toString(), path)
}

/**
 * A lock is of one recipe: what it has and the recipe has not would be a surprise, and the other way round.
 *
 * @throws {UsageError} with what differs
 */
export function checkLockFits(
  lock: PackageLock,
  wanted: Pick<PackageLock, 'distro' | 'release' | 'arch' | 'requested'>,
  path: string,
): void {
  for (const name of ['distro', 'release', 'arch'] as const) {
    if (lock[name] === wanted[name]) continue
    throw new UsageError(
      `Cannot use lock "${path}": its ${name} is ${lock[name]}, not ${wanted[name]}`,
    )
  }
  const more = wanted.requested.filter((one) => !lock.requested.includes(one))
  const less = lock.requested.filter((one) => !wanted.requested.includes(one))
  if (more.length + less.length === 0) return
  const parts = [
    ...(more.length > 0 ? [`it was made without ${more.join(', ')}`] : []),
    ...(less.length > 0 ? [`with ${less.join(', ')}`] : []),
  ]
  throw new UsageError(`Cannot use lock "${path}": ${parts.join(', ')}`, {
    hint: 'Give the options that the image was built with (--target, --format, --layout, --kernel, --include)',
  })
}
