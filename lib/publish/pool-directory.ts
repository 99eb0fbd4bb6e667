/**
 * A qcow2 image as a file of a pool's directory on this machine, or of what is mounted there: written beside
 * its place, and renamed when it is whole and on the disk.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BuildError, errorCode, explain } from '../cli/errors.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'

type Image = { path: string; bytes: number; sha256: string }

/**
 * Copy the image there.
 *
 * @param onBytes hears how much is there
 * @returns whether it was there before, and the same
 * @throws {BuildError} when another image has that name, or it can't be written
 */
export async function publishFile(
  directory: string,
  name: string,
  image: Image,
  scope: Scope,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const final = join(directory, name)
  const what = `copy ${image.path} to ${final}`
  const there = await stat(final).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw explain(`read "${final}"`, error)
  })
  if (there !== undefined) {
    if (there.size === image.bytes && (await digestOf(final)) === image.sha256) return true
    throw new BuildError(`Cannot ${what}: another image of that name is there`, {
      hint: 'Compare the two, and remove the one that is wrong',
    })
  }
  const partial = `${final}.${process.pid}.partial`
  scope.onFailure(`Remove ${partial}`, () => rm(partial, { force: true }))
  try {
    const written = await copy(image.path, partial, onBytes)
    if (written !== image.sha256) {
      throw new BuildError(`Cannot ${what}: the file changed meanwhile`)
    }
    await rename(partial, final)
    // A name is on the disk when its directory is.
    const entry = await open(dirname(final), 'r')
    await entry.sync().finally(() => entry.close())
  } catch (error) {
    throw explain(what, error)
  }
  return false
}

/** @returns the digest of what was written */
async function copy(from: string, to: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(to, 'wx', 0o644)
  try {
    let written = 0
    for await (const piece of createReadStream(from, { highWaterMark: 1 << 20 })) {
      stopSignal().throwIfAborted()
      const bytes = piece as Buffer // no encoding is set
      hash.update(bytes)
      await file.writeFile(bytes)
      onBytes((written += bytes.length))
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(piece as Buffer) // no encoding is set
      stopSignal().throwIfAborted()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  return hash.digest('hex')
}
