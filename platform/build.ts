/**
 * From a historic platform to an image that boots as an instance: the archive is edited, put on a disk with
 * a boot loader, and the disk made a send stream with its manifest.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { BuildError, explain } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { step } from '../lib/cli/progress.ts'
import type { Scope } from '../lib/cli/scope.ts'
import { stopSignal } from '../lib/cli/session.ts'
import { makeParents } from '../lib/host/directories.ts'
import { allocatedExtents } from '../lib/disk/extents.ts'
import { seededGuid } from '../lib/disk/identity.ts'
import { convertImage } from '../lib/image/convert.ts'
import { formatOfContent } from '../lib/image/formats.ts'
import type { ImageFile } from '../lib/image/image-file.ts'
import {
  checkDraft,
  imageManifest,
  type ManifestData,
  writeManifest,
} from '../lib/image/manifest.ts'
import { writeZvolImage } from '../lib/image/zvol-image.ts'
import { zvolStream } from '../lib/zfs/write.ts'
import type { Retro } from './edits.ts'
import { applyEdits, driversOf } from './retro.ts'
import { extractPlatform, openTarball, type PlatformFiles } from './tarball.ts'
import { editUfsInPlace, openUfs } from './ufs/edit.ts'
import { fsck } from './ufs/fsck.ts'
import {
  type BootEntry,
  bootProperty,
  makeUsbKey,
  MARK,
  renewUsbKey,
  writeFiles,
} from './usb-key.ts'

export type RetroOptions = {
  stamp: string
  /** The tarball, or a zip file with it. */
  tarball: string
  version: string
  output: string
  bytes: number
  /** An image that was built before, whose boot loader is used. */
  bootDisk: string | undefined
  /** PEM. */
  certificates: string
  /** Files of the operator's. */
  network: string | undefined
  custom: string | undefined
}

export type RetroImage = { manifest: string; image: ImageFile; leftOut: string[] }

const HOMEPAGE = 'https://github.com/TritonDataCenter/smartos-live'

/** Drivers that harm a guest, or take long to find out that there is nothing for them. */
const DISABLED = ['kvm', 'vmm', 'viona', 'ehci', 'uhci']

function bootEntries(stamp: string): BootEntry[] {
  const always = [
    bootProperty('console', 'ttya'),
    bootProperty('ttya-mode', '115200,8,n,1,-'),
    'smartos=true',
    'standalone=true',
    ...DISABLED.map((driver) => `disable-${driver}=true`),
  ]
  return [
    { name: 'live', title: `SmartOS ${stamp}`, properties: always },
    {
      name: 'rescue',
      title: 'Rescue: no pool is imported',
      properties: [...always, 'noimport=true', 'emergency-password=true'],
    },
    { name: 'kmdb', title: 'With the kernel debugger', flags: '-kd', properties: always },
  ]
}

function described(options: RetroOptions, at: Date): Omit<ManifestData, 'sha256' | 'file'> {
  return {
    name: `smartos-retro-${options.stamp}`,
    version: options.version,
    description: `SmartOS ${options.stamp} as a virtual machine`,
    homepage: HOMEPAGE,
    volumeBytes: options.bytes,
    publishedAt: at,
    defaultUser: 'root',
    os: 'smartos',
    upstream: options.stamp,
    firmware: 'bios',
  }
}

/** `20130506T233003Z`, as the kernel and others have it in them. */
const STAMP = /\d{8}T\d{6}Z/g

/**
 * Is this the platform that was asked for? Asked are its directory, its own note, its kernel, and the
 * release file in the archive.
 *
 * @throws {BuildError} when one says something else, or none says anything
 */
async function checkStamp(files: PlatformFiles, wanted: string, shown: string): Promise<void> {
  const release = (() => {
    const ufs = openUfs(files.archive)
    try {
      return ufs.exists('/etc/release') ? ufs.readFile(ufs.realPath('/etc/release')).toString() : ''
    } finally {
      ufs.close()
    }
  })()
  const kernel = /joyent_(\d{8}T\d{6}Z)/.exec(readFileSync(files.unix, 'latin1'))?.[1]
  const says = {
    'its directory': files.directory.match(STAMP)?.at(-1),
    'etc/version/platform': files.stamp?.match(STAMP)?.[0],
    'its kernel': kernel,
    '/etc/release': /SmartOS/.test(release) ? release.match(STAMP)?.[0] : undefined,
  }
  const found = Object.entries(says).filter(([, stamp]) => stamp !== undefined)
  const other = found.find(([, stamp]) => stamp !== wanted)
  if (other) {
    throw new BuildError(
      `Cannot use "${shown}": ${other[0]} says ${other[1]}, wanted is ${wanted}`,
      {
        hint: `./bin/build-retro ${other[1]}, or another file`,
      },
    )
  }
  if (found.length > 0) return
  throw new BuildError(`Cannot use "${shown}": nothing in it says which SmartOS it is`, {
    hint: `Looked for a stamp in ${Object.keys(says).join(', ')}`,
  })
}

async function sha1Of(path: string): Promise<string> {
  const digest = createHash('sha1')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), digest)
  return digest.digest('hex')
}

/** The boot loader unpacks it; what it costs is time at boot. */
async function gzipped(path: string): Promise<string> {
  const packed = `${path}.gz`
  await pipeline(
    createReadStream(path, { highWaterMark: 1 << 20 }),
    createGzip({ level: 6 }),
    createWriteStream(packed),
    { signal: stopSignal() },
  )
  return packed
}

/** Below this a disk holds an archive of these years only packed. */
const PACKED_BELOW = 512 * 1024 ** 2

/** Check what can be known before the work. @throws {BuildError} */
export function checkRetro(options: RetroOptions, at: Date): void {
  checkDraft(described(options, at))
}

/**
 * Build the image.
 *
 * @throws {BuildError} when the platform is not what it should be, or something can't be written
 */
export async function buildRetro(
  options: RetroOptions,
  at: Date,
  scope: Scope,
): Promise<RetroImage> {
  const { stamp, version, tarball } = options
  const work = await scope.tempDir('retro')
  const files = await step('Read the platform', async (report) => {
    const { stream, shown, bytes: total, close } = await openTarball(tarball)
    try {
      let read = 0
      const found = await extractPlatform(stream, shown, work, (count) => {
        report((read += count) / total)
      })
      await checkStamp(found, stamp, shown)
      return found
    } finally {
      await close()
    }
  })
  const retro: Retro = {
    ...{ stamp, version },
    network: options.network,
    certificates: options.certificates,
  }
  const epochSeconds = Math.floor(at.getTime() / 1000)
  const { reports, drivers } = await step('Edit its root file system', () =>
    editUfsInPlace(
      files.archive,
      (ufs) => ({ reports: applyEdits(ufs, retro), drivers: driversOf(ufs) }),
      { nowSeconds: epochSeconds, shown: 'boot_archive' },
    ),
  )
  const leftOut = reports.flatMap(({ what, leftOut }) => (leftOut ? [`${what}: ${leftOut}`] : []))
  for (const line of leftOut) log.warn(`Left out: ${line}`)
  await step('Check its root file system', async () => {
    const [first, ...others] = fsck(files.archive)
    if (first === undefined) return
    throw new BuildError(`The edited archive is damaged: ${first} (and ${others.length} more)`)
  })
  const disk = join(work, 'disk.raw')
  const bytes = await step('Find the boot disk', async () => {
    if (options.bootDisk === undefined) return options.bytes
    if ((await formatOfContent(options.bootDisk)) === 'raw') await copyFile(options.bootDisk, disk)
    else await convertImage(options.bootDisk, disk, 8192, () => {})
    return (await stat(disk)).size
  })
  await step('Make the disk', async () => {
    const packed = bytes < PACKED_BELOW
    const archive = packed ? await gzipped(files.archive) : files.archive
    const made = await writeFiles(join(work, 'made'), {
      'platform/i86pc/amd64/boot_archive.hash': `${await sha1Of(files.archive)}\n`,
      [MARK]: `${stamp} ${version}\n`,
    })
    const paths = {
      kernel: '/platform/i86pc/kernel/amd64/unix',
      archive: `/platform/i86pc/amd64/boot_archive${packed ? '.gz' : ''}`,
    }
    const onKey = new Map([
      [paths.kernel.slice(1), files.unix],
      [paths.archive.slice(1), archive],
      ...made,
      ...(options.custom ? [['custom.tgz', resolve(options.custom)] as const] : []),
    ])
    const key = { bytes, ...paths, files: onKey, entries: bootEntries(stamp), epochSeconds }
    if (options.bootDisk === undefined) await makeUsbKey(key, disk, work)
    else await renewUsbKey(key, disk, work)
  })
  const output = resolve(options.output)
  await makeParents(output)
  const base = `smartos-retro-${stamp}-${version}`
  const partial = await mkdtemp(join(output, `.${base}-`)).catch((error: unknown) => {
    throw explain(`write to "${output}"`, error)
  })
  scope.defer(`Remove ${partial}`, () => rm(partial, { recursive: true, force: true }))
  const guid = seededGuid(`${base}/${at.toISOString()}`, 'snapshot')
  const extents = await allocatedExtents(disk)
  const source = {
    ...{ path: disk, bytes, guid, extents },
    createdAtSeconds: epochSeconds,
    name: `zones/${base}@final`,
  }
  const image = await step('Write the image', (report) =>
    writeZvolImage(
      {
        says: `the send stream of ${disk}`,
        stream: (onProgress) => zvolStream({ ...source, onProgress }),
      },
      join(partial, `${base}.zvol.gz`),
      report,
    ),
  )
  const manifest = join(partial, `${base}.manifest`)
  const { sha1, sha256, bytes: size } = image
  const data = {
    ...described({ ...options, bytes }, at),
    ...{ nicDriver: drivers.nic, diskDriver: drivers.disk, sha256 },
    file: { sha1, bytes: size, datasetGuid: guid },
  }
  await writeManifest(imageManifest(data), manifest)
  // The manifest comes last: what it names is there.
  const final = (ending: string) => join(output, `${base}.${ending}`)
  for (const ending of ['zvol.gz', 'manifest']) {
    await rename(join(partial, `${base}.${ending}`), final(ending))
  }
  return { manifest: final('manifest'), image: { ...image, path: final('zvol.gz') }, leftOut }
}

/** Where the platform is looked for, and the line that brings it. */
export async function findPlatform(stamp: string, directory = 'data'): Promise<string> {
  const path = join(directory, `platform-${stamp}.tgz`)
  const there = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
  if (there) return path
  const place = `https://us-central.manta.mnx.io/Joyent_Dev/public/SmartOS/${stamp}/platform-${stamp}.tgz`
  throw new BuildError(`Cannot find ${path}`, {
    hint: `mkdir -p ${directory} && curl -fo ${path} ${place}; or --platform names a file or an address`,
  })
}
