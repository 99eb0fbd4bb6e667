/** Directories on the host. */
import { access, mkdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { errorCode } from '../cli/errors.ts'

/** The nearest path at or above `path` that exists. */
export async function nearestExisting(path: string): Promise<string> {
  const found = await access(path).then(
    () => true,
    () => false,
  )
  return found || dirname(path) === path ? path : nearestExisting(dirname(path))
}

/**
 * Make a directory and its parents; the topmost one that was made, or undefined. Not by `mkdir`'s
 * own `recursive`: Node 20's never returns where a file system takes no directories (/proc).
 */
export async function makeParents(path: string): Promise<string | undefined> {
  const existing = await nearestExisting(path)
  if (existing === path) return undefined
  let made: string | undefined
  let at = existing
  for (const part of relative(existing, path).split(sep)) {
    at = join(at, part)
    try {
      await mkdir(at)
      made ??= at
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error // another build was faster
    }
  }
  return made
}
