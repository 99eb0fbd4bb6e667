/** Takes away from Manta again what one run brought there. */
import { log } from '../cli/log.ts'
import type { MantaClient } from './manta-client.ts'

/** What was made by this run, newest last. */
export class MantaUndo {
  #made: { path: string; md5: string | undefined }[] = []
  readonly #client: MantaClient
  readonly #directory: string

  constructor(client: MantaClient, directory: string) {
    this.#client = client
    this.#directory = directory
  }

  /** Called before it is sent: an interruption may come between that and the answer. */
  object(path: string, md5: string): void {
    this.#made.push({ path, md5 })
  }

  directory(path: string): void {
    this.#made.push({ path, md5: undefined })
  }

  forget(): void {
    this.#made = []
  }

  async run(): Promise<void> {
    let deleted = 0
    for (const { path, md5 } of this.#made.reverse()) {
      const there = await this.#client.look(path, true)
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
}
