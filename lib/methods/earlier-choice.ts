/**
 * The packages that an earlier build has chosen, taken as long as the mirror's lists are the same. apt needs more time
 * to choose than all the rest of a build in which nothing has changed.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { log } from '../cli/log.ts'
import { session } from '../cli/session.ts'
import { versionOf } from '../host/versions.ts'
import { keepStage, keyOf, type StageCache, takeStage } from '../image/stage-cache.ts'
import { LOCK, lockText, type PackageLock, readLock } from '../packages/lock.ts'

/** Raised where the same lists give another choice than before: earlier ones are not found then. */
const GENERATION = 1

const STAGE = 'choice'

/**
 * The choice that is kept for these lists, or a new one, which is kept.
 *
 * @param about the lock as far as it is known before: what is asked for, and the digests of the signed lists, each of
 *   which stands for every list of its archive by digests. One without a digest could be any: nothing is kept then.
 * @param sources lines of sources.list, for what the lists do not tell: components
 * @throws what `choose` throws
 */
export async function chooseOnce(
  stages: StageCache,
  about: Pick<PackageLock, 'distro' | 'release' | 'arch' | 'requested' | 'sources'>,
  sources: readonly string[],
  choose: () => Promise<PackageLock>,
): Promise<PackageLock> {
  if (session.dryRun || about.sources.some(({ sha256 }) => sha256 === undefined)) return choose()
  const key = keyOf([GENERATION, await versionOf('apt-get'), about, sources])
  let earlier: PackageLock | undefined
  await takeStage(stages, STAGE, key, undefined, async (kept) => {
    earlier = await readLock(join(kept, LOCK))
  })
  if (earlier) {
    log.info("The mirror's lists have not changed: the packages are those of an earlier build")
    return earlier
  }
  const chosen = await choose()
  await keepStage(stages, STAGE, key, (directory) =>
    writeFile(join(directory, LOCK), lockText(chosen)),
  )
  return chosen
}
