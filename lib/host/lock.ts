/**
 * One at a time: builds that run side by side share a cache, and two downloads of one file would write
 * into each other. Who holds a lock renews its date, so that a build that was killed stands in nobody's
 * way for long, on this machine or another that shares the directory; on this one it is known at once.
 */
import { createHash } from 'node:crypto'
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
/** To take one away takes less. */
const RIGHT_MS = 20

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
  const own = ownedName('lock')
  for (let said = false; ; said = true) {
    try {
      await writeFile(lock, own, { flag: 'wx' })
      break
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw explain(`write "${lock}"`, error)
    }
    const nobodys = await abandoned(lock)
    if (nobodys !== undefined) await takeAway(lock, nobodys)
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
    // It is another one's where this process was held up for so long that it was taken for ended.
    if ((await readFile(lock, 'utf8').catch(() => '')) === own) await rm(lock, { force: true })
  }
}

/** What it says, when nobody holds it any more. */
async function abandoned(lock: string): Promise<string | undefined> {
  const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: Date.now() }))
  const said = await readFile(lock, 'utf8').catch(() => undefined)
  const owner = said === undefined ? 'alive' : ownerOf(said)
  // Of this machine's processes more is known than by a clock, which may be set at any time.
  const isOld = Date.now() - mtimeMs > STALE_MS
  return owner === 'gone' || (owner === 'unknown' && isOld) ? said : undefined
}

/**
 * Take away what nobody holds any more. Of several who have seen that at once the last ones would take away what the
 * first has made since: so only he may do it who has the right to this very one, which is a file of its own.
 *
 * @param held what it said, which no two say alike
 * @throws {BuildError} when the directory can't be written
 */
export async function takeAway(lock: string, held: string): Promise<void> {
  const right = `${lock}.${createHash('sha256').update(held).digest('hex').slice(0, 16)}`
  try {
    await writeFile(right, ownedName('right'), { flag: 'wx' })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw explain(`write "${right}"`, error)
    const nobodys = await abandoned(right) // its owner was killed in between
    if (nobodys !== undefined) await takeAway(right, nobodys)
    else await delay(RIGHT_MS, undefined, { signal: stopSignal() })
    return
  }
  try {
    if ((await abandoned(lock)) === held) await rm(lock, { force: true })
  } finally {
    await rm(right, { force: true })
  }
}
