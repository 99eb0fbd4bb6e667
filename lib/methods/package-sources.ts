/**
 * What package sources hold at the moment, known by their lists. For systems whose packages somebody else chooses,
 * a vendor's installer or a cloud image that runs: the same lists are the same choice.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Distro } from '../../distros/distro.ts'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'
import type { Recipe } from '../image/recipe.ts'
import { keyOf } from '../image/stage-cache.ts'
import { fetchFile } from '../media/fetch.ts'

/**
 * Addresses of the lists that name all of a recipe's packages, by digests of digests. Where the main mirror is whatever the
 * vendor's installer takes, the list of its security updates stands for it: the medium itself is renewed with the rest.
 *
 * Source: apt's InRelease (wiki.debian.org/DebianRepository/Format), createrepo's repodata/repomd.xml.
 */
export function listAddresses(
  distro: Distro,
  { release, mirrors }: Pick<Recipe, 'release' | 'mirrors'>,
): string[] {
  const { repositories, codename } = release
  const { main, security } = mirrors[0] ?? {}
  if (repositories) {
    const mirror = (main ?? repositories.mirror).replace(/\/$/, '')
    const paths = [repositories.base, ...repositories.others.map(({ path }) => path)]
    return paths.map((path) => `${mirror}/${path.replace(/\/?$/, '/')}repodata/repomd.xml`)
  }
  if (!distro.bootstrap) return []
  const suites: [mirror: string | undefined, suite: string][] = [
    [main, codename],
    [main, `${codename}-updates`],
    [main === undefined ? distro.bootstrap.securityMirror : security, `${codename}-security`],
  ]
  return suites.flatMap(([mirror, suite]) =>
    mirror === undefined ? [] : [`${mirror}/dists/${suite}/InRelease`],
  )
}

/** Nobody waits long for an answer that only saves time. */
const PATIENCE = { attempts: 1, stallSeconds: 10 }

/** A mirror need not have each of them; what it lacks is a state as well. */
const isAbsent = (error: unknown) =>
  error instanceof BuildError && /returned error: 404\b/.test(error.message)

async function digestAt(url: string, directory: string, env: Readonly<Record<string, string>>) {
  const path = join(directory, keyOf(url))
  try {
    await fetchFile(url, path, { ...PATIENCE, env })
  } catch (error) {
    if (isAbsent(error)) return ''
    throw error
  }
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

/**
 * The state that these lists are in: their digests, in order, empty for one that is not there. It is noted in the cache,
 * and offline the last one that was noted is taken for it.
 *
 * @returns undefined: it can't be known
 */
export async function sourcesState(
  addresses: readonly string[],
  { recipe, scope }: { recipe: Pick<Recipe, 'cache' | 'name' | 'proxyEnv'>; scope: Scope },
  { offline }: { offline: boolean },
): Promise<readonly string[] | undefined> {
  const notes = join(recipe.cache, 'sources')
  const note = join(notes, `${keyOf(addresses)}.json`)
  if (offline) {
    return readFile(note, 'utf8')
      .then((text) => JSON.parse(text) as string[])
      .catch(() => undefined)
  }
  try {
    const directory = await scope.tempDir(`${recipe.name}-lists`)
    const found = await Promise.all(
      addresses.map((url) => digestAt(url, directory, recipe.proxyEnv)),
    )
    if (!found.some((digest) => digest !== '')) return undefined // it is no mirror at all
    // For builds without a network, nothing that this one needs; half a note is none.
    await makeParents(notes)
      .then(() => writeFile(note, JSON.stringify(found)))
      .catch(() => {})
    return found
  } catch (error) {
    stopSignal().throwIfAborted()
    if (!(error instanceof BuildError)) throw error
    log.info(
      `The system is not kept for the next build, as nobody knows its packages: ${error.message}`,
    )
    return undefined
  }
}
