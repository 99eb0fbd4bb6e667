/** The image's file: that of an earlier build, where nothing that it is made of has changed, or a new one. */
import { existsSync } from 'node:fs'
import { copyFile, link, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { log } from '../cli/log.ts'
import { step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { LEFTOVER_NAMES } from '../hygiene/leftovers.ts'
import type { Build, Host, Method } from '../methods/method.ts'
import { copyLog } from './copy-log.ts'
import { describeCompressor } from './gzip.ts'
import { digestFile, type ImageFile } from './image-file.ts'
import { type Made, makers } from './makers.ts'
import { dropStage, findStage, keepStage, keyOf, saysFull } from './stage-cache.ts'
import { workInMemory } from './work-memory.ts'

/** What is known of an image beside its bytes. */
const ABOUT = 'about.json'
const IMAGE = 'image'
/** The console of the machine that it was made in, where there was one. */
const SERIAL = 'serial.log'

type About = Omit<Made, 'guid' | 'image' | 'serialLog'> & {
  guid?: string
  image: Omit<ImageFile, 'path'>
}

/** Everything that its bytes depend on; undefined: nobody knows. */
function imageKey({ recipe, key, pin }: Build, path: string): string | undefined {
  if (key === undefined) return undefined
  const { format, disk, variables } = recipe
  return keyOf([
    key,
    format,
    disk,
    variables['compression'],
    basename(path),
    pin?.lock.tools,
    describeCompressor(),
    // One that was allowed more, or was looked at for less, is another.
    [recipe.allowLeftovers, LEFTOVER_NAMES],
  ])
}

/** A second name of the same bytes, where the file system can. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to))
}

/** What is known of a kept image; undefined: nothing, as after a power cut. */
async function readAbout(kept: string): Promise<About | undefined> {
  try {
    const about = JSON.parse(await readFile(join(kept, ABOUT), 'utf8')) as About
    return existsSync(join(kept, IMAGE)) ? about : undefined
  } catch {
    return undefined
  }
}

/** Take an image that was kept; undefined: it is not what it was. */
async function takeImage(kept: string, path: string): Promise<Made | undefined> {
  const about = await readAbout(kept)
  if (!about) return undefined
  const { guid, image, ...rest } = about
  await linkOrCopy(join(kept, IMAGE), path)
  const found = await digestFile(path)
  if (found.sha256 !== image.sha256) {
    await rm(path) // one file by two names: the next one is not to be written into it
    return undefined
  }
  const serialLog = join(kept, SERIAL)
  return {
    ...rest,
    image: found,
    ...(guid !== undefined && { guid: BigInt(guid) }),
    ...(existsSync(serialLog) && { serialLog }),
  }
}

/** @throws {BuildError} as the method and the writing of the image do */
export async function makeImage(
  method: Method,
  build: Build,
  host: Host,
  path: string,
  options: { fetched: boolean },
): Promise<Made> {
  const { stages, recipe } = build
  const key = imageKey(build, path)
  const kept = key && (await findStage(stages, 'image', key))
  if (kept) {
    const made = await step('Take the image of an earlier build', () =>
      takeImage(kept, path).catch(async (error: unknown) => {
        stopSignal().throwIfAborted()
        if (saysFull(error)) throw error
        await rm(path, { force: true })
        return undefined // it can't be read
      }),
    )
    if (made) {
      log.info('Nothing that it is made of has changed since (--fresh makes it anew)')
      return made
    }
    log.warn(`The image in ${kept} is damaged: it is made anew`)
    await dropStage(stages, 'image', key)
  }
  await workInMemory(build)
  const made = await makers[recipe.format](method, build, host, path, options)
  if (key === undefined) return made
  await step('Keep the image for the next build', () =>
    keepStage(stages, 'image', key, async (directory) => {
      const { guid, image, serialLog, ...rest } = made
      const about = { ...rest, image, ...(guid !== undefined && { guid: String(guid) }) }
      await act(`keep ${path} in ${directory}`, async () => {
        await writeFile(join(directory, ABOUT), JSON.stringify(about))
        await linkOrCopy(path, join(directory, IMAGE))
        if (serialLog !== undefined) await copyLog(serialLog, join(directory, SERIAL))
      })
    }),
  )
  return made
}
