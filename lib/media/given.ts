/**
 * Media that the operator names: a file, taken as it is, or an address, which needs a digest. With a
 * digest it is verified before every use, as the vendor's own media are.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { BuildError, explain, UsageError } from '../cli/errors.ts'
import { parseUrl } from '../cli/options.ts'
import { checkIsNoPipe, readSmallInput } from '../cli/small-file.ts'
import { type Digest, parseChecksums } from './checksums.ts'
import { fetchFile, type FetchOptions } from './fetch.ts'
import { withLock } from '../host/lock.ts'
import { digestOf, isWhole, type Media, placeOf } from './media.ts'

export type GivenMedia = {
  /** Path or http(s) address. */
  iso: string
  /** Hexadecimal digest, or a file with a list of them. */
  checksum: string | undefined
}

export const isAddress = (text: string) => /^https?:\/\//.test(text)

/** @throws {UsageError} when an address is none, or has no digest */
export function checkGiven({ iso, checksum }: GivenMedia): void {
  if (!isAddress(iso)) return
  parseUrl(iso)
  if (checksum !== undefined) return
  throw new UsageError(`Cannot trust ${iso} without --checksum`, {
    hint: 'Give the SHA-256 or SHA-512 of the file, or a file with a list of them',
  })
}

/** A digest in hexadecimal, or undefined. */
function readDigest(text: string): Digest | undefined {
  const hex = text.replace(/^sha(256|512):/i, '').toLowerCase()
  if (!/^([0-9a-f]{64}|[0-9a-f]{128})$/.test(hex)) return undefined
  return { algorithm: hex.length === 64 ? 'sha256' : 'sha512', hex }
}

/** @throws {UsageError} when the text is no digest */
export function parseDigest(text: string): Digest {
  const digest = readDigest(text)
  if (digest) return digest
  throw new UsageError(`Cannot read --checksum "${text}": it is no SHA-256 or SHA-512`)
}

/** The digest that is meant for `name`. */
async function digestFor(name: string, checksum: string): Promise<Digest> {
  const given = readDigest(checksum)
  if (given) return given
  if (!existsSync(checksum)) {
    throw new UsageError(
      `Cannot read --checksum "${checksum}": it is no SHA-256 or SHA-512 in hexadecimal, and no file`,
    )
  }
  const list = String(await readSmallInput(checksum, `--checksum "${checksum}"`))
  const digest = parseChecksums(list).get(name)
  if (digest) return digest
  throw new BuildError(`Cannot find "${name}" in checksum list "${checksum}"`, {
    hint: `It lists ${[...parseChecksums(list).keys()].slice(0, 5).join(', ') || 'no file'}`,
  })
}

/**
 * Find, fetch where it is an address, and verify.
 *
 * @throws {BuildError} when it can't be had, or has another digest
 */
export async function findGiven(
  given: GivenMedia,
  cache: string,
  options: FetchOptions & { offline?: boolean } = {},
): Promise<Media> {
  const { iso, checksum } = given
  checkGiven(given)
  const name = isAddress(iso) ? basename(new URL(iso).pathname) || 'iso' : basename(iso)
  const digest = checksum === undefined ? undefined : await digestFor(name, checksum)
  if (!isAddress(iso)) {
    const path = resolve(iso)
    await checkIsNoPipe(path)
    if (digest) await verify(path, iso, digest)
    return { path, name, digest, from: path }
  }
  const place = placeOf(cache, { name, digest: digest!, from: iso })
  await withLock(place, async () => {
    if (await isWhole(place, digest!)) return
    if (options.offline) {
      throw new BuildError(`Cannot use ${iso} offline: the cache ${cache} does not hold it`, {
        hint: 'Fetch it once with a network, or name a file',
      })
    }
    await fetchFile(iso, place, options)
    await verify(place, iso, digest!).catch(async (error: unknown) => {
      await rm(place)
      throw error
    })
  })
  return { path: place, name, digest, from: iso }
}

async function verify(path: string, what: string, digest: Digest): Promise<void> {
  const found = await digestOf(path, digest.algorithm).catch((error: unknown) => {
    throw explain(`read "${path}"`, error)
  })
  if (found === digest.hex) return
  throw new BuildError(
    `Cannot use ${what}: its ${digest.algorithm} is ${found}, wanted is ${digest.hex}`,
    { hint: 'It was cut or changed on the way, or the digest is of another release' },
  )
}
