/**
 * Materials of an image: what it was made of, each with where it came from and, where it is known, its digest.
 * They are resource descriptors of in-toto (spec/v1/resource_descriptor.md of in-toto/attestation): one has an
 * address or a digest at least.
 */
import { readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { redact } from '../cli/redact.ts'
import { act } from '../cli/run.ts'
import { digestOf, type Media } from '../media/media.ts'
import type { LockedSource } from '../packages/lock.ts'
import type { Recipe } from './recipe.ts'
import { git } from './stamp.ts'

export type Material = {
  name: string
  uri?: string
  /** Algorithm to lower-case hexadecimal. */
  digest?: Record<string, string>
  mediaType?: string
  annotations?: Record<string, string | number | boolean>
}

const isAddress = (text: string) => /^https?:\/\//.test(text)

/** An installation medium or a base image, by its vendor's digest or, where it has none, by its own. */
export async function mediumMaterial(media: Media): Promise<Material> {
  const { name, path, from } = media
  const digest = media.digest ?? {
    algorithm: 'sha256',
    hex: await act(`read the digest of ${path}`, () => digestOf(path, 'sha256'), ''),
  }
  // A file's own path says nothing elsewhere.
  const at = isAddress(from) ? { uri: redact(new URL(name, from).href) } : {}
  return { name, ...at, digest: { [digest.algorithm]: digest.hex } }
}

/** A file of the operator: what it is for, and its digest. */
async function fileMaterial(what: string, path: string): Promise<Material> {
  const hex = await act(`read the digest of ${path}`, () => digestOf(path, 'sha256'), '')
  return { name: basename(path), digest: { sha256: hex }, annotations: { use: what } }
}

/** This project, by the commit of its checkout; nothing where it is none. */
export async function sourceMaterial(dirty: boolean): Promise<Material[]> {
  const commit = await git(['rev-parse', 'HEAD'])
  if (commit === undefined) return []
  const remote = await git(['config', '--get', 'remote.origin.url'])
  // The path of a clone on this machine says nothing elsewhere.
  const address = remote !== undefined && /^(https?|ssh|git):\/\//.test(remote) ? remote : undefined
  return [
    {
      name: 'hybrid-images',
      ...(address !== undefined && { uri: `git+${redact(address)}` }),
      digest: { gitCommit: commit },
      ...(dirty && { annotations: { changed: true } }),
    },
  ]
}

/** What the operator gave of their own. */
export async function ownMaterials(recipe: Recipe): Promise<Material[]> {
  const { customize, keyring, installer, cloud } = recipe
  const files = Object.entries({
    customize,
    keyring,
    answers: installer?.answers,
    'user-data': cloud?.userData,
  })
  const given = files.flatMap(([use, path]) => (path === undefined ? [] : [{ use, path }]))
  return Promise.all(given.map(({ use, path }) => fileMaterial(use, path)))
}

/** `20260101T000000Z` of an address of snapshot.debian.org, or of another archive that keeps old states. */
export const snapshotOf = (address: string): string | undefined =>
  /\/(\d{8}T\d{6}Z)(?=\/|$)/.exec(address)?.[1]

/** Where packages may have come from, as far as the recipe or the vendor's installer is told of it. */
export function mirrorMaterials({
  mirrors,
  method,
  release: { repositories },
}: Pick<Recipe, 'mirrors' | 'method' | 'release'>): Material[] {
  const given = mirrors.flatMap(({ main, security }) => [main, security])
  const vendors =
    method === 'installer' && mirrors.length === 0 && repositories
      ? [`${repositories.mirror}/${repositories.base}`]
      : []
  return [...given, ...vendors].flatMap((address) => {
    if (address === undefined) return []
    const snapshot = snapshotOf(address)
    const annotations = snapshot === undefined ? {} : { annotations: { snapshot } }
    return [{ name: 'mirror', uri: redact(address), ...annotations }]
  })
}

/** As apt calls the list of `http://host/debian` in its directory. Source: apt-pkg, URItoFileName(). */
const listFile = (address: string, suite: string) =>
  `${address.replace(/^\w+:\/\/([^/@]*@)?/, '').replaceAll('/', '_')}_dists_${suite}_InRelease`

/** `deb [options] address suite components` */
const SOURCE = /^deb (?:\[.*?\] )?(?<address>\S+?)\/? (?<suite>\S+)/

/**
 * The signed lists that packages were chosen from: each holds, by digests of digests, every package that
 * was in its archive at that moment.
 *
 * @param sources lines of sources.list
 * @param lists apt's directory of lists, as the cache keeps it; a list that is not there has no digest
 */
export async function listMaterials(
  sources: readonly string[],
  lists: string,
): Promise<Material[]> {
  return Promise.all(
    sources.map(async (source): Promise<Material> => {
      const { address = '', suite = '' } = SOURCE.exec(source)?.groups ?? {}
      const text = await readFile(join(lists, listFile(address, suite))).catch(() => undefined)
      const snapshot = snapshotOf(address)
      const date = text && /^Date: (.*)$/m.exec(text.toString('latin1'))?.[1]
      return {
        name: `${suite} InRelease`,
        uri: `${redact(address)}/dists/${suite}/InRelease`,
        ...(text && { digest: { sha256: createHash('sha256').update(text).digest('hex') } }),
        ...((snapshot !== undefined || date) && {
          annotations: {
            ...(date && { date }),
            ...(snapshot !== undefined && { snapshot }),
          },
        }),
      }
    }),
  )
}

/** The same, as a lock has them. */
export function sourcesOfMaterials(materials: readonly Material[]): LockedSource[] {
  return materials.map(({ name, uri = '', digest, annotations }) => ({
    uri,
    suite: name.replace(/ InRelease$/, ''),
    ...(typeof annotations?.['date'] === 'string' && { date: annotations['date'] }),
    ...(digest?.['sha256'] !== undefined && { sha256: digest['sha256'] }),
  }))
}
