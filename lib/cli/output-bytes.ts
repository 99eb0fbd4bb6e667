/**
 * What a program writes, as bytes while it runs. Not by run.ts, which takes output for text and hands it over at the
 * end.
 */
import { spawn } from 'node:child_process'
import { BuildError } from './errors.ts'
import { log } from './log.ts'
import { session, stopSignal } from './session.ts'
import { shellCommand } from './shell-words.ts'

/**
 * Standard output of a program. A reader that stops early ends it; either way it has ended when this has.
 *
 * @param says what it is started for, completing "Cannot"
 * @throws {BuildError} with its last words, when it ends with anything but success
 */
export async function* outputBytes(
  words: readonly string[],
  says: string,
): AsyncGenerator<Buffer, void, void> {
  const [program, ...rest] = words
  if (session.verbose) log.command(shellCommand({ words: [...words] }), new Date())
  const child = spawn(program!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    signal: stopSignal(),
    killSignal: 'SIGTERM',
  })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data))
  const ended = new Promise<string | undefined>((done) => {
    child.on('error', ({ message }) => {
      if (child.pid === undefined) done(message) // otherwise it was told to end, and will
    })
    child.on('close', (status, signal) =>
      done(status === 0 ? undefined : (signal ?? `status ${status}`)),
    )
  })
  let whole = false
  try {
    yield* child.stdout as AsyncIterable<Buffer>
    whole = true
  } finally {
    if (!whole) child.kill()
    child.stdout.destroy()
    await ended
  }
  const how = await ended
  stopSignal().throwIfAborted()
  if (how === undefined) return
  const last = said.trim()
  throw new BuildError(`Cannot ${says}: ${program} ended with ${how}${last && `: ${last}`}`)
}
