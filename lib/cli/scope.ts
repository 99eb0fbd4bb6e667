/**
 * What is made is unmade: undos are registered on the line after the thing they undo, and run in
 * reverse order when the command ends, by success, error or interruption alike.
 */
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { explain } from './errors.ts'
import { removeAbandoned } from './abandoned.ts'
import { ownedPrefix } from './owned.ts'
import { act } from './run.ts'
import { log } from './log.ts'
import { session } from './session.ts'

type Undo = { says: string; undo: () => Promise<unknown>; onlyAfterFailure: boolean }

export class Scope {
  #undos: Undo[] = []

  /** Undo at the end in any case. */
  defer(says: string, undo: () => Promise<unknown>): void {
    this.#undos.push({ says, undo, onlyAfterFailure: false })
  }

  /** Undo only when the command fails or is interrupted. */
  onFailure(says: string, undo: () => Promise<unknown>): void {
    this.#undos.push({ says, undo, onlyAfterFailure: true })
  }

  /**
   * A new directory below `parent`, gone when the command ends (kept, and named, with --keep).
   * /var/tmp is the default: /tmp is memory on many machines, and images are large.
   */
  async tempDir(prefix: string, parent = process.env['TMPDIR'] || '/var/tmp'): Promise<string> {
    if (!session.dryRun) await removeAbandoned(parent, `${prefix}-`)
    const template = join(parent, ownedPrefix(prefix))
    const make = session.dryRun ? Promise.resolve(`${template}XXXXXX`) : mkdtemp(template)
    const dir = await make.catch((error: unknown) => {
      throw explain(`make a temporary directory in "${parent}"`, error)
    })
    this.defer(`Remove ${dir}`, async () => {
      if (session.keep) {
        // By its old name the next build would take it for that of a build which was killed.
        await rename(dir, `${dir}.kept`)
        log.info(`Kept ${dir}.kept`)
      } else await rm(dir, { recursive: true, force: true, maxRetries: 3 })
    })
    return dir
  }

  /** Run the undos. One that fails is reported and does not stop the others. */
  async close(failed: boolean): Promise<void> {
    for (const { says, undo, onlyAfterFailure } of this.#undos.reverse()) {
      if (onlyAfterFailure && !failed) continue
      if (session.dryRun) {
        await act(says, undo)
        continue
      }
      if (session.verbose) log.info(says)
      await undo().catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        log.warn(`${says} failed: ${reason}`)
      })
    }
    this.#undos = []
  }
}
