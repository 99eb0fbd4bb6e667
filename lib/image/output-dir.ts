/**
 * Where a build's files go: `<output>/<name>/<stamp>/`, written as `<stamp>-<whose>.partial` and renamed
 * when whole, so that a directory with its final name holds a finished build. A failed build takes
 * away what it made, its parents included when they were its own and are empty.
 */
import { mkdir, mkdtemp, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { removeAbandoned } from '../cli/abandoned.ts'
import { errorCode, explain } from '../cli/errors.ts'
import { ownedName } from '../cli/owned.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { makeParents, nearestExisting } from '../host/directories.ts'

export type OutputDir = {
  /** Write here. */
  partial: string
  /** It will be here. */
  final: string
  /** Give the directory its final name, and note the stamp as the latest. */
  finish: () => Promise<void>
}

/**
 * Can files be made below `path`? Tried out before the build, which takes minutes.
 *
 * @throws {BuildError} when not
 */
export async function checkWritable(path: string): Promise<void> {
  if (session.dryRun) return
  try {
    // Permissions tell less than a try: file systems are read-only, or take no directories.
    await rmdir(await mkdtemp(join(await nearestExisting(resolve(path)), '.hybrid-images-')))
  } catch (error) {
    throw explain(`write to "${path}"`, error)
  }
}

export async function makeOutputDir(
  scope: Scope,
  place: { output: string; name: string; stamp: string },
): Promise<OutputDir> {
  const parent = join(resolve(place.output), place.name)
  const final = join(parent, place.stamp)
  const partial = `${ownedName(final)}.partial`
  await act(`make ${partial}`, async () => {
    const made = await makeParents(parent)
    if (made) scope.onFailure(`Remove ${made}`, () => removeEmpty(parent, made))
    else await removeAbandoned(parent, '')
    await mkdir(partial)
  })
  scope.onFailure(`Remove ${partial}`, () => rm(partial, { recursive: true, force: true }))
  return {
    partial,
    final,
    async finish() {
      await act(`rename ${partial} to ${final}`, () => replace(partial, final))
      const latest = join(place.output, `${place.name}-latest-build-stamp`)
      await act(`note the stamp in ${latest}`, async () => {
        try {
          await writeFile(`${latest}.partial`, `${place.stamp}\n`)
          await rename(`${latest}.partial`, latest)
        } finally {
          await rm(`${latest}.partial`, { force: true }) // there only when the disk is full, say
        }
      })
    },
  }
}

/** A build of the same stamp, as of the same SOURCE_DATE_EPOCH, takes the place of the one before. */
async function replace(partial: string, final: string): Promise<void> {
  try {
    await rename(partial, final)
  } catch (error) {
    if (errorCode(error) !== 'ENOTEMPTY') throw error
    const old = `${ownedName(final)}.partial`
    await rename(final, old)
    await rename(partial, final)
    await rm(old, { recursive: true })
  }
}

/** Remove `dir` and its parents up to `top`, as far as they are empty. */
async function removeEmpty(dir: string, top: string): Promise<void> {
  try {
    await rmdir(dir)
    if (dir !== top) await removeEmpty(dirname(dir), top)
  } catch (error) {
    // Another build put something there.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'ENOENT') throw error
  }
}
