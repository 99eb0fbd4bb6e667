/** From the method to the image's file, in steps: one way for each format. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { log } from '../cli/log.ts'
import { type Report, step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { makeDisk } from '../disk/disk.ts'
import { seededGuid } from '../disk/identity.ts'
import { TOOLS } from '../host/tools.ts'
import type { Build, Filled, Host, Method } from '../methods/method.ts'
import type { ImageFormat } from '../targets/target.ts'
import { copyLog } from './copy-log.ts'
import { writeDdImageOf } from './dd-image.ts'
import { describeCompressor, gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'
import { plainFile } from './plain-file.ts'
import { compressionOf, writeQcow2 } from './qcow2.ts'
import { keyOf } from './stage-cache.ts'
import { writeZvolImage } from './zvol-image.ts'

export type Made = Filled & { image: ImageFile; guid?: bigint }

export type Maker = (
  method: Method,
  build: Build,
  host: Host,
  path: string,
  options: { fetched: boolean },
) => Promise<Made>

export const makers: Record<ImageFormat, Maker> = {
  async 'zfs.gz'(method, build, host, path, options) {
    const { recipe, scope, work, seed, pin } = build
    const disk = await makeDisk(recipe.disk, work, scope)
    const done = await logged(build, () => method.fill(build, host, disk.path, options))
    const snapshot = await disk.snapshot({
      name: `zones/${recipe.fileName}@final`,
      guid: seededGuid((pin ? diskKey(build) : done.identity) ?? seed, 'snapshot'),
      createdAtSeconds: build.epochSeconds,
    })
    const image = await step('Write the image', (report) => writeZvolImage(snapshot, path, report))
    return { ...done, image, guid: snapshot.guid }
  },
  async ddgz(method, build, host, path, options) {
    const { recipe, scope, work } = build
    const disk = await makeDisk(recipe.disk, work, scope)
    const done = await logged(build, () => method.fill(build, host, disk.path, options))
    const write = (report: Report) => writeDdImageOf(disk.path, path, report)
    return { ...done, image: await step('Write the image', write) }
  },
  async qcow2(method, build, host, path, options) {
    const { recipe, scope, work } = build
    const disk = await makeDisk(recipe.disk, work, scope)
    const done = await logged(build, () => method.fill(build, host, disk.path, options))
    const compression = compressionOf(recipe.variables['compression'])
    const write = (report: Report) => writeQcow2(disk.path, path, report, compression)
    return { ...done, image: await step('Write the image', write) }
  },
  async tgz(method, build, host, path, options) {
    const { tar, ...done } = await logged(build, () => method.pack(build, host, options))
    const signal = stopSignal()
    const image = await step('Write the image', (report) =>
      act(
        `write ${path}: ${tar}, through ${describeCompressor()}`,
        () => writeImageFile(gzip(plainFile(tar, report), { signal }), path, { signal }),
        { path, bytes: 0, sha1: '', sha256: '' },
      ),
    )
    return { ...done, image }
  },
}

/** Programs that write a disk: another version may write other bytes of the same system. */
const WRITERS = [TOOLS.sfdisk, TOOLS.mkfsExt4, TOOLS.debugfs, TOOLS.mkfsVfat, TOOLS.mcopy]

/** All that a disk depends on whose system is known beforehand: receivers take two snapshots of one guid for the same. */
export function diskKey({
  key,
  pin,
  recipe,
}: Pick<Build, 'key' | 'pin' | 'recipe'>): string | undefined {
  if (key === undefined) return undefined
  const versions = WRITERS.map(({ name }) => pin?.lock.tools[name])
  return keyOf([key, recipe.disk.bytes, recipe.disk.blockBytes, versions])
}

/** The console of a machine is kept however the work went, where Jenkins looks for it. */
async function logged<T>({ recipe, work }: Build, fill: () => Promise<T>): Promise<T> {
  try {
    return await fill()
  } finally {
    const written = join(work, 'serial.log')
    // Who interrupts a build has seen the console, and wants nothing of it to be left.
    if (existsSync(written) && !stopSignal().aborted) {
      const kept = join(recipe.output, `${recipe.name}-qemu.log`)
      await copyLog(written, kept).catch(() => {}) // the disk may be full: that is told elsewhere
      log.info(`Serial log: ${kept}`)
    }
  }
}
