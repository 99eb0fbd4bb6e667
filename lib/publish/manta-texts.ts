/** The small objects beside a build's files in Manta: its sums and lists, and the pointers to it. */
import { createHash } from 'node:crypto'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { oneLine } from '../cli/one-line.ts'
import { act } from '../cli/run.ts'
import type { Build } from './manta-build.ts'
import type { MantaClient } from './manta-client.ts'
import { isNewer } from './manta-layout.ts'
import type { MantaUndo } from './manta-undo.ts'

const md5OfText = (text: string) => createHash('md5').update(text).digest('hex')

/** What follows from the files: written anew when it differs. Says whether it did. */
export async function putText(client: MantaClient, to: string, text: string, undo: MantaUndo) {
  const md5 = md5OfText(text)
  return act(
    `put ${to}`,
    async () => {
      const there = await client.look(to)
      if (there?.kind === 'object' && there.md5 === md5) return false
      // One that was there before is of a build that is there: it is not taken away.
      if (there) undo.forget()
      const sending = there ? undefined : undo.object(to, md5)
      if (sending) sending.whole = true // a text goes at once
      await client.put(to, text, md5)
      if (sending) sending.whole = false
      return true
    },
    false,
  )
}

export async function renewPointer(
  client: MantaClient,
  pointer: string,
  { directory, stamp }: Build,
) {
  const text = `${directory}\n`
  return act(
    `point ${pointer} to ${directory}`,
    async () => {
      const there = await client.get(pointer)
      if (there === text) return false
      if (there !== undefined && isNewer(there, stamp)) {
        log.info(`${pointer} points to a newer build, ${oneLine(there)}: left as it is`)
        return false
      }
      await client.put(pointer, text, md5OfText(text)).catch((error: unknown) => {
        throw new BuildError(`The build is published, but not pointed to by ${pointer}`, {
          hint: `Run this again. ${error instanceof Error ? error.message : ''}`,
          cause: error,
        })
      })
      return true
    },
    false,
  )
}
