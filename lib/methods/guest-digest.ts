/** What is done to a new system, as content: files and scripts by what is in them, whatever they are called here. */
import { basename, join } from 'node:path'
import { explain } from '../cli/errors.ts'
import { digestOf as fileDigest } from '../media/media.ts'
import type { Guest, GuestScript } from './guest.ts'

async function digestOf(path: string): Promise<string> {
  try {
    return await fileDigest(path, 'sha256')
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}

async function scriptContent({ path, env }: GuestScript) {
  return { env, sha256: await digestOf(path) }
}

/** @throws {BuildError} when a file can't be read */
export async function directoryContent(directory: string) {
  const { globby } = await import('globby') // takes as long to load as all else that begins here
  const names = (await globby('**', { cwd: directory, dot: true })).sort()
  return {
    name: basename(directory),
    files: await Promise.all(
      names.map(async (name) => [name, await digestOf(join(directory, name))]),
    ),
  }
}

/** @throws {BuildError} when a file can't be read */
export async function guestContent(guest: Guest) {
  const scripts = [...guest.setup, ...(guest.customize ? [guest.customize] : []), ...guest.finish]
  return {
    files: await Promise.all(
      guest.files.map(async ({ from, to }) => [to, await digestOf(from)] as const),
    ),
    directories: await Promise.all(guest.directories.map(directoryContent)),
    scripts: await Promise.all(scripts.map(scriptContent)),
    customize: guest.customize !== undefined,
  }
}
