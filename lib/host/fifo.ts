/** Pairs of named pipes to programs of this machine. */
import { constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { BuildError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'

/** Make a pair, for nobody else: `path.in` leads to the other program, `path.out` to us. */
export async function makeFifos(path: string): Promise<void> {
  await $`mkfifo -m 600 ${path}.in ${path}.out`
}

/**
 * Open a pair that another program has open. The stream ends with that program.
 *
 * @throws {BuildError} when nobody reads there
 */
export function openFifos(path: string): Duplex {
  let writable: Socket | undefined
  try {
    writable = new Socket({ fd: opened(`${path}.in`, constants.O_WRONLY), readable: false })
    const readable = new Socket({ fd: opened(`${path}.out`, constants.O_RDONLY), writable: false })
    const both = Duplex.from({ readable, writable })
    return both.once('end', () => both.destroy())
  } catch (error) {
    writable?.destroy()
    throw new BuildError(`Cannot connect to "${path}": ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Without O_NONBLOCK opening waits for the other side, and so does every write. */
const opened = (path: string, how: number) => openSync(path, how | constants.O_NONBLOCK)
