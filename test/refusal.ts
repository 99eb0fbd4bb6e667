/** Errors that an operator is to read. */
import * as assert from 'uvu/assert'
import { BuildError } from '../lib/cli/errors.ts'

/** The message with which something refuses; it has to be one of ours. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.instance(error, BuildError)
  return (error as BuildError).message
}
