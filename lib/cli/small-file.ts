/** Files of other people that are read as a whole: manifests, records, locks. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { BuildError, explain } from './errors.ts'
import { stopSignal } from './session.ts'

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
 * A file or a device that can be read from its beginning more than once. What is missing is for the reading to say.
 *
 * @throws {BuildError} when it is a pipe, for whose writer a thread of Node would wait
 */
export async function checkIsNoPipe(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFIFO()) return
  throw new BuildError(`Cannot read "${path}": it is a pipe`, {
    hint: 'Save what comes of it to a file first',
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

/**
 * As readSmallFile(), of a text that is read once: also what a program writes to a pipe, as the shell's `<(...)` is.
 *
 * @param name for messages
 * @throws {BuildError} also when nothing comes out of a pipe
 */
export async function readSmallInput(path: string, name = `"${path}"`): Promise<Buffer> {
  const isPipe = await stat(path).then(
    (found) => found.isFIFO(),
    () => false,
  )
  if (!isPipe) return readSmallFile(path, name)
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of pipePieces(path)) {
      pieces.push(piece)
      bytes += piece.length
      if (bytes > MOST) break
    }
  } catch (error) {
    stopSignal().throwIfAborted()
    throw explain(`read ${name}`, error)
  }
  if (bytes > MOST) {
    throw new BuildError(`Cannot read ${name}: it has more than ${MOST} bytes, as no such file has`)
  }
  if (bytes > 0) return Buffer.concat(pieces)
  throw new BuildError(`Cannot read ${name}: nothing comes out of this pipe`)
}

/** Opening does not wait for somebody who writes, and an interruption ends the reading. */
async function* pipePieces(path: string): AsyncGenerator<Buffer> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  let socket: Socket | undefined
  try {
    const first = Buffer.alloc(65_536)
    const length = readNow(fd, first)
    if (length === 0) return // nobody has it open: nobody would end the waiting either
    if (length !== undefined) yield first.subarray(0, length)
    socket = new Socket({ fd, readable: true, writable: false, signal: stopSignal() })
    yield* socket as AsyncIterable<Buffer>
  } finally {
    if (socket === undefined) closeSync(fd)
    else socket.destroy()
  }
}

/** What is there already; undefined: nothing yet, of somebody who has it open. */
function readNow(fd: number, into: Buffer): number | undefined {
  try {
    return readSync(fd, into)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}
