/**
 * Which packages a system will have: apt's own choice, from the lists of a mirror as they are now.
 *
 * Source: apt-get(8), --print-uris; deb822(5); Debian Policy, "Packages" index files.
 */
import { BuildError } from '../cli/errors.ts'
import type { Apt } from './apt.ts'
import { type LockedPackage, sortPackages } from './lock.ts'

export type Chosen = { packages: LockedPackage[]; required: string[]; installedBytes: number }

/** `'http://…/a_1.0_all.deb' a_1.0_all.deb 1234 SHA256:…`: what apt would fetch. */
const URI = /^'(?<uri>[^']+)' (?<name>[^_ ]+)_(?<version>[^_ ]+)_(?<arch>[^_ ]+)\.deb (?<bytes>\d+)/

type Fetched = { uri: string; name: string; version: string; bytes: number }

/** What `apt-get install --print-uris` prints. */
export function parseUris(text: string): Fetched[] {
  return text.split('\n').flatMap((line) => {
    const { uri, name, version, bytes } = URI.exec(line)?.groups ?? {}
    if (uri === undefined) return []
    return [{ uri, name: name!, version: decodeURIComponent(version!), bytes: Number(bytes) }]
  })
}

/** Paragraphs of `Name: value` lines; what goes on in the next line is left out. */
export function parseStanzas(text: string): Map<string, string>[] {
  return text
    .split(/\n\n+/)
    .map((stanza) => {
      const fields = [...stanza.matchAll(/^([A-Za-z0-9-]+): ?(.*)$/gm)]
      return new Map(fields.map(([, name, value]) => [name!, value!]))
    })
    .filter(({ size }) => size > 0)
}

/** Each fetched file with what the list says of it. @throws {BuildError} when a list says nothing */
export function joinLists(fetched: readonly Fetched[], stanzas: Map<string, string>[]): Chosen {
  const byFile = new Map(stanzas.map((one) => [(one.get('Filename') ?? '').replace('./', ''), one]))
  const required = new Set<string>()
  let installedBytes = 0
  const packages = fetched.map(({ uri, name, version, bytes }): LockedPackage => {
    // Addresses are encoded, names of files are not, and begin anywhere in the address.
    const parts = decodeURIComponent(uri).split('/')
    const found = parts.map((_, i) => byFile.get(parts.slice(i).join('/'))).find(Boolean)
    const sha256 = found?.get('SHA256')
    if (!found || sha256 === undefined) {
      throw new BuildError(`Cannot pin package ${name}: the mirror's list has no SHA-256 of ${uri}`)
    }
    if (found.get('Priority') === 'required') required.add(name)
    installedBytes += Number(found.get('Installed-Size') ?? 0) * 1024
    return { name, version, arch: found.get('Architecture') ?? 'all', uri, bytes, sha256 }
  })
  return { packages: sortPackages(packages), required: [...required].sort(), installedBytes }
}

/**
 * Choose packages for an empty system: what is essential and what is required, and what the recipe asks for.
 *
 * @returns nothing with --dry-run, where nobody knows
 * @throws {BuildError} in apt's words
 */
export async function choosePackages(
  apt: Apt,
  requested: readonly string[],
  explainApt: (output: string) => BuildError,
): Promise<Chosen> {
  const wanted = ['apt', '?essential', '?priority(required)', ...requested]
  const uris = await apt({ nothrow: true })`apt-get install --yes --print-uris ${wanted}`
  if (uris.exitCode !== 0) throw explainApt(`${uris.stdout}\n${uris.stderr}`)
  const fetched = parseUris(uris.stdout)
  const versions = fetched.map(({ name, version }) => `${name}=${version}`)
  const shown = await apt({ nothrow: true })`apt-cache show ${versions}`
  if (shown.exitCode !== 0) throw explainApt(`${shown.stdout}\n${shown.stderr}`)
  return joinLists(fetched, parseStanzas(shown.stdout))
}
