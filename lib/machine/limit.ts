/** Waiting with a limit. */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'

/** Wait for something. @throws {BuildError} `<what> within 30 s` when it takes longer */
export async function within(
  something: Promise<unknown>,
  seconds: number,
  what: string,
): Promise<void> {
  const limit = new AbortController()
  const tooLong = delay(seconds * 1000, 'late', { signal: limit.signal }).catch(() => undefined)
  const first = await Promise.race([something.then(() => 'done'), tooLong])
  limit.abort()
  if (first === 'late') throw new BuildError(`${what} within ${seconds} s`)
}
