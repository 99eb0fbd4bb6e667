/** What changed among an image's packages since the build before of the same name, by their bills of materials. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SBOM } from './records.ts'

/** Name to versions: kernels may be there in several. */
export type Versions = ReadonlyMap<string, string>

export type Changes = {
  added: { name: string; version: string }[]
  removed: { name: string; version: string }[]
  changed: { name: string; from: string; to: string }[]
}

/** Versions by name, of packages in any order. */
export function versionsOf(packages: readonly { name: string; version: string }[]): Versions {
  const found = new Map<string, string[]>()
  for (const { name, version } of packages) {
    const versions = found.get(name) ?? []
    if (!versions.includes(version)) found.set(name, [...versions, version].sort())
  }
  return new Map([...found].map(([name, versions]) => [name, versions.join(', ')]))
}

/** From one list to the next, each sorted by name. */
export function changesBetween(before: Versions, now: Versions): Changes {
  const names = [...new Set([...before.keys(), ...now.keys()])].sort()
  const changes: Changes = { added: [], removed: [], changed: [] }
  for (const name of names) {
    const from = before.get(name)
    const to = now.get(name)
    if (from === undefined && to !== undefined) changes.added.push({ name, version: to })
    else if (to === undefined && from !== undefined) changes.removed.push({ name, version: from })
    else if (from !== undefined && to !== undefined && from !== to) {
      changes.changed.push({ name, from, to })
    }
  }
  return changes
}

export type Previous = { stamp: string; versions: Versions }

/**
 * The build before, as the output directory has it; undefined where there is none, or it left no list.
 *
 * @param output of all builds: the newest of this name is noted there
 */
export async function previousBuild(output: string, name: string): Promise<Previous | undefined> {
  try {
    const stamp = (await readFile(join(output, `${name}-latest-build-stamp`), 'utf8')).trim()
    const cwd = join(output, name, stamp)
    const file = (await readdir(cwd)).find((one) => one.endsWith(`.${SBOM}`))
    if (stamp === '' || file === undefined) return undefined
    const sbom = JSON.parse(await readFile(join(cwd, file), 'utf8')) as {
      components?: { type: string; name: string; version?: string }[]
    }
    const packages = (sbom.components ?? []).flatMap(({ type, name, version = '' }) =>
      type === 'library' ? [{ name: String(name), version: String(version) }] : [],
    )
    return { stamp, versions: versionsOf(packages) }
  } catch {
    return undefined // none yet, or one that somebody has cut: no reason to fail this one
  }
}
