/**
 * Where a vendor's signing key comes from: a file that the operator names, the distro's keyring package
 * where it is installed, or the vendor's own site, once. It is believed for its pinned fingerprint, not
 * for where it came from.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { readSmallInput } from '../cli/small-file.ts'
import { fetchFile, type FetchOptions } from './fetch.ts'
import { withLock } from '../host/lock.ts'
import { checkKeys, type Trust } from './signature.ts'

export type KeySource = {
  /** Of primary keys; spaces and case do not matter. */
  fingerprints: readonly string[]
  /** Keyring on this machine, where there is one. */
  file: string
  url: string
}

/**
 * What to check signatures with.
 *
 * @param given key file of the operator
 * @param cache directory in which a fetched key is kept
 * @throws {BuildError} when no key can be had, or none has a pinned fingerprint
 */
export async function findKeys(
  source: KeySource,
  given: string | undefined,
  cache: string,
  options: FetchOptions & { offline?: boolean; option?: string } = {},
): Promise<Trust> {
  const pins = source.fingerprints
  if (given !== undefined) {
    const bytes = await readSmallInput(given, `key "${given}"`)
    return { pins, keys: new Map([[given, bytes]]) }
  }
  const installed = await readFile(source.file).catch(() => undefined)
  if (installed) return { pins, keys: new Map([[source.file, installed]]) }
  const name = pins[0]!.replaceAll(' ', '').toLowerCase()
  const path = join(cache, 'keys', `${name}.asc`)
  const kept = await readFile(path).catch(() => undefined)
  if (kept) return { pins, keys: new Map([[path, kept]]) }
  if (options.offline) {
    throw new BuildError(`Cannot find the vendor's key ${pins.join(' or ')} offline`, {
      hint: `It is looked for in ${source.file} and ${path}${options.option ? `; or name a file with ${options.option}` : ''}`,
    })
  }
  await withLock(path, () => fetchFile(source.url, path, options))
  const bytes = await readFile(path)
  const trust = { pins, keys: new Map([[source.url, bytes]]) }
  try {
    await checkKeys(trust)
  } catch (error) {
    await rm(path) // an error page, say: it must not stand in the way of the next build
    throw error
  }
  return trust
}
