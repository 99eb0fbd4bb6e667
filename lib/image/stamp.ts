/**
 * Build stamps: `<branch>-<YYYYMMDDTHHMMSSZ>-<githash>`, the name of a build's directory, as the
 * Jenkins jobs of the ancestors know it.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { $ } from '../cli/run.ts'

/** In seconds; dates beyond have no form that all formats know. */
export const LATEST = 1e11

export type Stamp = { text: string; branch: string; at: Date; commit: string }

/** `20260508T120000Z` */
export function compactTime(at: Date): string {
  return at.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '')
}

/** `20260508`: version of images made that day (UTC). */
export function compactDay(at: Date): string {
  return compactTime(at).slice(0, 8)
}

/** A branch name as part of a file name: anything unusual becomes a dash. */
export function stampText(branch: string, at: Date, commit: string): string {
  return `${branch.replaceAll(/[^A-Za-z0-9._]/g, '-')}-${compactTime(at)}-${commit}`
}

/** What git says of this checkout; undefined where it is none. */
export async function git(words: readonly string[]): Promise<string | undefined> {
  const top = resolve(fileURLToPath(new URL('../..', import.meta.url)))
  // safe.directory: git refuses the checkout of another user otherwise.
  const { exitCode, stdout } = await $({
    nothrow: true,
    readOnly: true,
  })`git -c safe.directory=${top} -C ${top} ${words}`
  return exitCode === 0 ? stdout.trim() : undefined
}

/** SOURCE_DATE_EPOCH, in seconds, where it is a time before the year 5138. */
export function givenEpoch(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const epoch = Math.floor(Number(env['SOURCE_DATE_EPOCH'] || Number.NaN))
  return epoch >= 0 && epoch < LATEST ? epoch : undefined
}

/**
 * The stamp of a build that starts now (or at SOURCE_DATE_EPOCH). Outside a git checkout the branch
 * is `release` and the commit `nogit`; local changes are told by `-dirty`.
 */
export async function makeStamp(env: NodeJS.ProcessEnv = process.env): Promise<Stamp> {
  const epoch = givenEpoch(env)
  const at = epoch === undefined ? new Date() : new Date(epoch * 1000)
  const status = await git(['status', '--porcelain=v2', '--branch', '--untracked-files=no'])
  const { commit, branch } = readStatus(status ?? '')
  const name = branch ?? (env['BRANCH_NAME'] || 'detached')
  return { text: stampText(name, at, commit), branch: name, at, commit }
}

/**
 * What `git status` says of a checkout.
 *
 * @param status in its format v2, with the branch; nothing: there is no checkout
 * @returns no branch in a checkout without one, as Jenkins makes it
 */
export function readStatus(status: string): { commit: string; branch: string | undefined } {
  const of = (name: string) => new RegExp(`^# branch\\.${name} (\\S+)$`, 'm').exec(status)?.[1]
  const [head, branch = 'release'] = [of('oid'), of('head')]
  const commit = head && /^[0-9a-f]{12}/.exec(head)?.[0] // before the first there is "(initial)"
  const changed = commit && /^[^#]/m.test(status)
  return {
    commit: (commit ?? 'nogit') + (changed ? '-dirty' : ''),
    branch: branch === '(detached)' ? undefined : branch,
  }
}

const STAMP = /^(?<branch>.+)-(?<at>\d{8}T\d{6}Z)-(?<commit>[^-]+(?:-dirty)?)$/

/** What a stamp's text says; undefined: it is none. The branch is as file names have it. */
export function parseStamp(text: string): Stamp | undefined {
  const { branch, at, commit } = STAMP.exec(text)?.groups ?? {}
  if (branch === undefined || at === undefined || commit === undefined) return undefined
  const iso = at.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z')
  const time = new Date(iso)
  // The 30th of February is read as the 2nd of March.
  if (Number.isNaN(time.getTime()) || compactTime(time) !== at) return undefined
  return { text, branch, at: time, commit }
}
