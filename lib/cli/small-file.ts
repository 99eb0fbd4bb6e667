/** Files of other people that are read as a whole: manifests, records, locks. */
import { readFile, stat } from 'node:fs/promises'
import { BuildError, explain } from './errors.ts'

/** More than any of them has: bills of materials have some MiB. */
const MOST = 64 * 1024 ** 2

/**
 * Is it a file, with an end? A pipe that nobody writes to would be waited for by a thread of Node, which no signal
 * reaches; a device has an end that is not told.
 *
 * @throws {BuildError} when it is something else, or is not there
 */
export async function checkIsFile(path: string, name = `"${path}"`): Promise<{ size: number }> {
  const found = await stat(path).catch((error: unknown) => {
    throw explain(`read ${name}`, error)
  })
  if (found.isFile()) return { size: found.size }
  const what = found.isDirectory()
    ? 'it is a directory'
    : 'it is no regular file, but a pipe, a socket or a device'
  throw new BuildError(`Cannot read ${name}: ${what}`, {
    hint: found.isDirectory()
      ? undefined
      : `Save what comes of it to a file first; of a device: qemu-img convert -O raw ${path} disk.raw`,
  })
}

/**
 * The whole of it.
 *
 * @param name for messages
 * @throws {BuildError} when it is no file, too large, or can't be read
 */
export async function readSmallFile(path: string, name = `"${path}"`): Promise<Buffer> {
  const { size } = await checkIsFile(path, name)
  if (size > MOST) {
    throw new BuildError(`Cannot read ${name}: it has ${size} bytes, more than any such file`)
  }
  return readFile(path).catch((error: unknown) => {
    throw explain(`read ${name}`, error)
  })
}
