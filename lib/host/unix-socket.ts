/** Connections to programs of this machine. */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, errorCode } from '../cli/errors.ts'

/**
 * Connect to a unix socket that another program is about to make.
 *
 * @throws {BuildError} when nobody listens there in time
 */
export async function connectUnix(path: string, limitMs: number): Promise<Socket> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const socket = connect(path)
    const error = await new Promise<Error | undefined>((done) => {
      socket.once('error', done).once('connect', () => {
        socket.off('error', done)
        done(undefined)
      })
    })
    if (!error) return socket
    const notYet = ['ENOENT', 'ECONNREFUSED'].includes(errorCode(error) ?? '')
    if (!notYet || Date.now() > deadline) {
      throw new BuildError(`Cannot connect to "${path}": ${error.message}`, { cause: error })
    }
    await delay(50)
  }
}
