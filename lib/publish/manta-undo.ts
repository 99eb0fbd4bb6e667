/** Takes away from Manta again what one run brought there. */
import { setTimeout as delay } from 'node:timers/promises'
import { log } from '../cli/log.ts'
import type { Entry, MantaClient } from './manta-client.ts'

/** An object on its way. */
export type Sending = {
  /** All of it was sent, and no answer came yet: it may be there at any moment, also when the connection is lost. */
  whole: boolean
}

/** How often, in milliseconds, and how many times what may come yet is looked for. */
const LATE = { pauseMs: 250, looks: 8 }

/** What was made by this run, newest last. */
export class MantaUndo {
  #made: { path: string; md5: string | undefined; sending?: Sending }[] = []
  readonly #client: MantaClient
  readonly #directory: string

  constructor(client: MantaClient, directory: string) {
    this.#client = client
    this.#directory = directory
  }

  /** Called before it is sent: an interruption may come between that and the answer. */
  object(path: string, md5: string): Sending {
    const sending = { whole: false }
    this.#made.push({ path, md5, sending })
    return sending
  }

  directory(path: string): void {
    this.#made.push({ path, md5: undefined })
  }

  forget(): void {
    this.#made = []
  }

  async run(): Promise<void> {
    let deleted = 0
    for (const { path, md5, sending } of this.#made.reverse()) {
      const there = await this.#look(path, sending?.whole ? LATE.looks : 0)
      if (!there) continue
      if (there.kind === 'object' && there.md5 !== md5) continue // somebody else's
      // A directory in which somebody else has put something stays, as Manta deletes empty ones only.
      const kept = there.kind === 'directory'
      await this.#client.delete(path, true).catch((error: unknown) => {
        if (!kept) throw error
      })
      if (there.kind === 'object') deleted += 1
    }
    if (deleted > 0) log.info(`Deleted ${deleted} files in ${this.#directory} again`)
  }

  /** @param more how many times it is looked for again, when it is not there */
  async #look(path: string, more: number): Promise<Entry | undefined> {
    const there = await this.#client.look(path, true)
    if (there || more === 0) return there
    await delay(LATE.pauseMs)
    return this.#look(path, more - 1)
  }
}
