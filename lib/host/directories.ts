/** Directories on the host. */
import { lstat, mkdir, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { errorCode } from '../cli/errors.ts'

/** The nearest path at or above `path` that exists. */
export async function nearestExisting(path: string): Promise<string> {
  // A link that leads nowhere is there: nothing can be made in its place.
  const found = await lstat(path).then(
    () => true,
    () => false,
  )
  return found || dirname(path) === path ? path : nearestExisting(dirname(path))
}

/**
 * Make a directory and its parents, where there are none; the topmost one that was made, or undefined. Not by `mkdir`'s
 * own `recursive`: Node 20's never returns where a file system takes no directories (/proc).
 */
export async function makeParents(path: string): Promise<string | undefined> {
  const existing = await nearestExisting(path)
  const checkIsDirectory = async (at: string) => {
    if ((await stat(at)).isDirectory()) return
    throw Object.assign(new Error(`${at} is no directory`), { code: 'ENOTDIR', syscall: 'mkdir' })
  }
  await checkIsDirectory(existing)
  if (existing === path) return undefined
  let made: string | undefined
  let at = existing
  for (const part of relative(existing, path).split(sep)) {
    at = join(at, part)
    try {
      await mkdir(at)
      made ??= at
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      await checkIsDirectory(at) // another build was faster
    }
  }
  return made
}
