/**
 * Is a newer point release out than the one that the last image was made of? The vendor's signed list of
 * media says what is out, the manifest's tag `upstream` what was built.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Distro, Release } from '../../distros/distro.ts'
import { BuildError } from '../cli/errors.ts'
import type { FetchOptions } from '../media/fetch.ts'
import { findKeys } from '../media/keys.ts'
import { newestMedia } from '../media/media.ts'

/**
 * What a medium's name says of the point release: the group `point` of the release's pattern, or its
 * version and the group `minor`; where the pattern has neither, the name itself.
 */
export function pointRelease({ version, media }: Release, medium: string): string {
  const { point, minor } = media.file.exec(medium)?.groups ?? {}
  return point ?? (minor === undefined ? medium : `${version}.${minor}`)
}

export type Update = {
  name: string
  /** The newest that the vendor has; undefined: it could not be asked. */
  upstream: string | undefined
  /** What the last image was made of; undefined: there is none, or it does not say. */
  built: string | undefined
  /** When that image was made. */
  builtAt: string | undefined
  state: 'current' | 'newer upstream' | 'never built' | 'unknown'
  /** Why the vendor could not be asked. */
  problem?: string
}

/** Tag and time of the newest build below an output directory, where there is one. */
export async function lastBuilt(
  output: string,
  name: string,
): Promise<{ upstream?: string; at: string } | undefined> {
  const text = await readFile(join(output, `${name}-latest-build-stamp`), 'utf8').catch(() => '')
  const directory = join(output, name, text.trim())
  const names = text === '' ? [] : await readdir(directory).catch(() => [])
  const file = names.find((one) => one.endsWith('.imgmanifest'))
  if (file === undefined) return undefined
  try {
    const manifest = JSON.parse(await readFile(join(directory, file), 'utf8')) as {
      published_at: string
      tags?: { upstream?: string }
    }
    const { published_at: at, tags } = manifest
    return { at, ...(tags?.upstream !== undefined && { upstream: tags.upstream }) }
  } catch {
    return undefined // damaged: as good as none
  }
}

/** Ask the vendor, and compare. */
export async function checkUpdate(
  distro: Distro,
  release: Release,
  output: string,
  cache: string,
  options: FetchOptions,
): Promise<Update> {
  const name = `${distro.name}-${release.version}`
  const last = await lastBuilt(output, name)
  const row = { name, built: last?.upstream, builtAt: last?.at }
  const work = await mkdtemp(join(tmpdir(), 'updates-'))
  try {
    const { key, ...media } = release.media
    const trust = key && (await findKeys(key, undefined, cache, options))
    const medium = await newestMedia({ ...media, name, trust }, work, options)
    const upstream = pointRelease(release, medium)
    const state = !last ? 'never built' : last.upstream === upstream ? 'current' : 'newer upstream'
    return { ...row, upstream, state }
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    return { ...row, upstream: undefined, state: 'unknown', problem: error.message }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
