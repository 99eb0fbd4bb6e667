/**
 * Results of a build's stages, kept for the next build: each below a name that is made of everything that it
 * depends on, so that what did not change is found again and what did is not.
 *
 *   <cache>/stages/<image>/<stage>-<key>/   whole; written under a name of its own and renamed
 *
 * Keeping is a favour to the next build, never a reason for this one to fail.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { removeAbandoned } from '../cli/abandoned.ts'
import { ownedName } from '../cli/owned.ts'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { session, stopSignal } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'

/** Of one image's each stage: the one before is there for who goes back and forth between two recipes. */
const KEPT = 2

export type StageCache = {
  /** Below the cache of the build; undefined: nothing is kept or reused. */
  directory: string | undefined
  /** Take nothing from it (--fresh). */
  fresh: boolean
}

/** Content to key: what is equal as JSON has the same. */
export function keyOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32)
}

/** Take away what builds that were killed have left of any stage; this one may come to keep none. */
export async function sweepStages({ directory }: StageCache): Promise<void> {
  if (directory !== undefined && !session.dryRun) await removeAbandoned(directory, '')
}

/** The directory of a result that was kept, or undefined. */
export async function findStage(
  { directory, fresh }: StageCache,
  stage: string,
  key: string,
): Promise<string | undefined> {
  if (directory === undefined || fresh || session.dryRun) return undefined
  const entry = join(directory, `${stage}-${key}`)
  const now = new Date()
  return utimes(entry, now, now).then(
    () => entry,
    () => undefined,
  )
}

/**
 * Take a result that an earlier build has kept. One that is damaged, as after a power cut, is taken away.
 *
 * @param take gets its directory
 * @param target what `take` makes, where that is a file or a directory
 * @returns false: it has to be made
 */
export async function takeStage(
  cache: StageCache,
  stage: string,
  key: string | undefined,
  target: string | undefined,
  take: (kept: string) => Promise<void>,
): Promise<boolean> {
  const kept = key && (await findStage(cache, stage, key))
  if (!kept) return false
  try {
    await take(kept)
    return true
  } catch (error) {
    stopSignal().throwIfAborted()
    if (saysFull(error)) throw error
    log.warn(`The stage "${stage}" in ${kept} is damaged: it is made anew`)
    if (target !== undefined) await rm(target, { recursive: true, force: true })
    await dropStage(cache, stage, key)
    return false
  }
}

/** A result that turned out to be damaged. */
export async function dropStage({ directory }: StageCache, stage: string, key: string) {
  if (directory !== undefined) {
    await rm(join(directory, `${stage}-${key}`), { recursive: true, force: true })
  }
}

/** Keep a result: `fill` puts it into the directory that it is given, and prints what it does with --dry-run. */
export async function keepStage(
  { directory }: StageCache,
  stage: string,
  key: string,
  fill: (directory: string) => Promise<unknown>,
): Promise<void> {
  if (directory === undefined) return
  const entry = join(directory, `${stage}-${key}`)
  const partial = join(directory, ownedName(`${stage}-${key}`))
  if (session.dryRun) return fill(partial).then(() => {})
  try {
    await makeParents(directory)
    await mkdir(partial)
    await fill(partial)
    await rm(entry, { recursive: true, force: true })
    await rename(partial, entry)
    await prune(directory, stage)
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => {})
    stopSignal().throwIfAborted()
    const said = error instanceof Error ? error.message : String(error)
    const reason = saysFull(error) ? `the disk of ${directory} is full` : said
    log.warn(`Cannot keep the stage "${stage}" for the next build: ${reason}`)
  }
}

/** Is it an error of a disk that is full? */
export const saysFull = (error: unknown) =>
  error instanceof Error &&
  (/no space left/i.test(error.message) ||
    (error instanceof BuildError && /disk is full/.test(error.hint ?? '')))

/** Take away what was used least lately. */
async function prune(directory: string, stage: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) =>
    new RegExp(`^${stage}-[0-9a-f]{32}$`).test(name),
  )
  const aged = await Promise.all(
    names.map(async (name) => {
      const { mtimeMs = 0 } = await stat(join(directory, name)).catch(() => ({}) as never)
      return { name, mtimeMs }
    }),
  )
  const old = aged.sort((a, b) => b.mtimeMs - a.mtimeMs).slice(KEPT)
  for (const { name } of old) await rm(join(directory, name), { recursive: true, force: true })
}
