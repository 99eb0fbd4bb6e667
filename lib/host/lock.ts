/**
 * One at a time: builds that run side by side share a cache, and two downloads of one file would write
 * into each other. Who holds a lock renews its date, so that a build that was killed stands in nobody's
 * way for long, on this machine or another that shares the directory; on this one it is known at once.
 */
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode, explain } from '../cli/errors.ts'
import { ownedName, ownerOf } from '../cli/owned.ts'
import { log } from '../cli/log.ts'
import { stopSignal } from '../cli/session.ts'
import { makeParents } from './directories.ts'

const RENEW_MS = 2_000
/** A lock that was not renewed for so long is nobody's. */
const STALE_MS = 15_000

/**
 * Do `work` while no other process does something with `path`.
 *
 * @param doing what another one does that is waited for
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  doing = `fetching ${path}`,
): Promise<T> {
  const lock = `${path}.lock`
  await makeParents(dirname(path)).catch((error: unknown) => {
    throw explain(`make "${dirname(path)}"`, error)
  })
  for (let said = false; ; said = true) {
    try {
      await writeFile(lock, ownedName('lock'), { flag: 'wx' })
      break
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw explain(`write "${lock}"`, error)
    }
    const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: Date.now() }))
    const owner = ownerOf(await readFile(lock, 'utf8').catch(() => ''))
    // Of this machine's processes more is known than by a clock, which may be set at any time.
    const isOld = Date.now() - mtimeMs > STALE_MS
    if (owner === 'gone' || (owner === 'unknown' && isOld)) await rm(lock, { force: true })
    else {
      if (!said) log.info(`Another build is ${doing}: waiting for it`)
      await delay(500, undefined, { signal: stopSignal() })
    }
  }
  const renew = setInterval(() => {
    const now = new Date()
    void utimes(lock, now, now).catch(() => {})
  }, RENEW_MS)
  try {
    return await work()
  } finally {
    clearInterval(renew)
    await rm(lock, { force: true })
  }
}
