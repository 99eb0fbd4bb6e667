/**
 * Systems that are made in a machine, kept for the next build: an installation takes minutes to hours, and is not to be
 * lost to what comes behind it, a full disk or an interruption. What is kept is the disk, or the root tar, with the
 * console and what is known of it, as one packed tar: its checksum tells whether it is whole.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { log } from '../cli/log.ts'
import { step } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import { isPlainFile } from '../disk/disk.ts'
import { keepStage, keyOf, takeStage } from '../image/stage-cache.ts'
import { sweepMachines } from '../machine/place.ts'
import type { Media } from '../media/media.ts'
import { mediumMaterial } from '../image/materials.ts'
import { compactDay } from '../image/stamp.ts'
import type { Build, Filled, Method } from './method.ts'
import { listAddresses, sourcesState } from './package-sources.ts'

/** Raised where the same inputs make something else than before: old systems are not found then. */
const GENERATION = 1

const PACKED = 'system.tar.zst'
const ABOUT = 'about.json'
const SERIAL = 'serial.log'

/**
 * What a system that is made in a machine is known by.
 *
 * @param content all that the machine is given beside the medium, as JSON
 * @param lists whether packages come from the package sources, or all from the medium
 * @returns undefined: what it depends on can't be known
 */
export async function machineSystemKey(
  build: Build,
  media: Media,
  content: unknown,
  { offline, lists }: { offline: boolean; lists: boolean },
): Promise<string | undefined> {
  const { distro, recipe } = build
  const sources = lists ? listAddresses(distro, recipe) : []
  const [state, { digest }] = await step('Compare with earlier builds', () =>
    Promise.all([
      sources.length > 0 ? sourcesState(sources, build, { offline }) : [],
      mediumMaterial(media),
    ]),
  )
  if (!state) return undefined
  const { disk, format, arch } = recipe
  const machine = (recipe.installer ?? recipe.cloud)?.hypervisor.machine
  return keyOf([GENERATION, digest, state, disk.bytes, format === 'tgz', arch, machine, content])
}

/** The recipe as all builds of a day have it, which an image is dated by. */
export const onItsDay = <R extends { at: Date }>(recipe: R): R => {
  const day = compactDay(recipe.at).replace(/(....)(..)(..)/, '$1-$2-$3')
  return { ...recipe, at: new Date(`${day}T00:00:00Z`) }
}

/** Take it into the place of `path`, which stays as it was when that can't be done. */
async function take({ stages, key, work }: Build, stage: string, path: string) {
  const aside = join(work, 'kept')
  let filled: Filled | undefined
  const taken = await takeStage(stages, stage, key, aside, (kept) =>
    step('Take the system of an earlier build', async () => {
      await mkdir(aside)
      const words = ['--use-compress-program=zstd', '--file', join(kept, PACKED)]
      await $`tar --extract ${words} --directory ${aside}`
      filled = JSON.parse(await readFile(join(aside, ABOUT), 'utf8')) as Filled
      await rename(join(aside, SERIAL), join(work, SERIAL))
      await rename(join(aside, stage), path)
      await rm(aside, { recursive: true })
    }),
  )
  if (!taken) return undefined
  log.info('Nothing that it is made of has changed since (--fresh makes it anew)')
  return { ...filled, serialLog: join(work, SERIAL) }
}

async function keep({ stages, key, work }: Build, stage: string, path: string, filled: Filled) {
  if (key === undefined) return
  const { serialLog: _, ...about } = filled
  const aside = join(work, 'to-keep')
  await step('Keep the system for the next build', () =>
    keepStage(stages, stage, key, async (directory) => {
      await act(`write ${aside}`, async () => {
        await mkdir(aside)
        await writeFile(join(aside, ABOUT), JSON.stringify(about))
      })
      // The console may have what the copy of it beside an image has not: passwords.
      const packed = join(directory, PACKED)
      const names = [
        ...['-C', aside, ABOUT],
        ...['-C', work, SERIAL],
        ...['-C', join(path, '..'), basename(path)],
      ]
      const renamed = `--transform=s,^${basename(path)}$,${stage},`
      const words = ['--use-compress-program=zstd -1 -T0 -q', '--file', packed, renamed]
      await $({ umask: '077' })`tar --create --sparse ${words} ${names}`
      await rm(aside, { recursive: true })
    }),
  )
}

/** The method, whose systems are kept and taken. A volume of ZFS is not: nobody else may write to where it lies. */
export const keepingSystems = (method: Method): Method => ({
  ...method,
  async checkHost(recipe, options) {
    await sweepMachines() // a build that takes a system has no machine to do so
    return method.checkHost(recipe, options)
  },
  async fill(build, host, disk, options) {
    if (!isPlainFile(build.recipe.disk)) return method.fill(build, host, disk, options)
    const taken = await take(build, 'disk', disk)
    if (taken) return taken
    const filled = { ...(await method.fill(build, host, disk, options)), identity: randomUUID() }
    await keep(build, 'disk', disk, filled)
    return filled
  },
  async pack(build, host, options) {
    const tar = join(build.work, 'image.tar')
    const taken = await take(build, 'tar', tar)
    if (taken) return { ...taken, tar }
    const packed = await method.pack(build, host, options)
    const { tar: path, ...filled } = packed
    await keep(build, 'tar', path, filled)
    return packed
  },
})
