/**
 * An image from any installer: its ISO is booted in a machine, installs by itself, and powers off (or
 * reboots, which ends the machine as well); the disk becomes the image.
 *
 * Whether the installation went well is judged before a byte is written: by the markers that it
 * prints on the serial console, where it prints some, and by there being something on the disk.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import { step } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import { makeParents } from '../host/directories.ts'
import { type Disk, type DiskKind, makeDisk } from '../disk/disk.ts'
import { seededGuid } from '../disk/identity.ts'
import type { Hypervisor } from '../host/hypervisor.ts'
import { checkForeign } from '../hygiene/hygiene.ts'
import type { HardwareName } from '../machine/hardware.ts'
import { install, installFirmware } from '../machine/install.ts'
import { checkIso } from '../media/iso9660.ts'
import { copyLog } from './copy-log.ts'
import type { ImageFile } from './image-file.ts'
import {
  checkDraft,
  contentUuid,
  imageManifest,
  type ManifestData,
  writeManifest,
} from './manifest.ts'
import { checkWritable } from './output-dir.ts'
import { fillPrototype, type PrototypeValues, readPrototype } from './prototype.ts'
import { compactDay } from './stamp.ts'
import { writeZvolImage } from './zvol-image.ts'

export type HybridOptions = {
  iso: string
  name: string
  description: string
  homepage: string
  /** File; undefined: our own manifest. */
  prototype: string | undefined
  /** Directory of the image. */
  output: string
  disk: DiskKind
  /** Where the disk is built: the directory of a file (undefined: $TMPDIR), the dataset of a volume. */
  diskDir: string | undefined
  diskBytes: number
  /** Of the volume that the image is, in bytes. */
  blockBytes: number
  hardware: HardwareName
  firmware: 'bios' | 'uefi'
  memoryMiB: number
  cpus: number
  vnc: string
  /** Markers that the installation has to print; undefined: none is needed. */
  markers: readonly string[] | undefined
  /** How often the guest reboots on its way. */
  reboots: number
  /** An image with leftovers is no image: otherwise the operator is warned of them. */
  refuseLeftovers: boolean
  /** For the installation, in seconds. */
  limit: number
  /** The hypervisor's own words, handed over in order. */
  extra: readonly string[]
}

export type Prepared = { options: HybridOptions; at: Date; prototype: string | undefined }

const MIB = 1024 ** 2

/** What any installer may say; a kernel says of much that it failed, which is no news unless it is a disk. */
export const COMPLAINT = /^(?!\[ *\d+\.\d{6}\] (?!.*\bI\/O error\b)).*\b(error|fatal|failed)\b/i

/**
 * Everything that can be known to be wrong before an installation that takes an hour.
 *
 * @throws {BuildError} with what is wrong with the ISO, the names, the prototype or the directories
 */
export async function prepareHybridImage(options: HybridOptions, at: Date): Promise<Prepared> {
  await checkIso(options.iso)
  await checkWritable(options.output)
  if (options.disk === 'file' && options.diskDir !== undefined) await checkWritable(options.diskDir)
  const prototype =
    options.prototype === undefined ? undefined : await readPrototype(options.prototype)
  if (prototype === undefined) checkDraft(described(options, at))
  else {
    const placeholder = { path: '', bytes: 1, sha1: '0'.repeat(40), sha256: '0'.repeat(64) }
    fillPrototype(prototype, prototypeValues(options, at, placeholder), options.prototype!)
  }
  return { options, at, prototype }
}

function described(options: HybridOptions, at: Date): Omit<ManifestData, 'sha256' | 'file'> {
  return {
    name: options.name,
    version: compactDay(at),
    description: options.description,
    homepage: options.homepage,
    volumeBytes: options.diskBytes,
    publishedAt: at,
    defaultUser: 'root',
  }
}

function prototypeValues(options: HybridOptions, at: Date, image: ImageFile): PrototypeValues {
  return {
    NAME: options.name,
    DATE: compactDay(at),
    DESC: options.description,
    HOMEPAGE: options.homepage,
    ZVOL_SIZE: options.diskBytes / MIB,
    GZIP_SIZE: image.bytes,
    TIME_NOW: at.toISOString().replace(/\.\d+/, ''),
    IMAGE_UUID: contentUuid(image.sha256),
    IMAGE_SHA: image.sha1,
  }
}

export type HybridImage = { manifest: string; image: ImageFile; serialLog: string }

/**
 * Install, and write image, manifest and serial log.
 *
 * @throws {BuildError} when the installation fails, with its last words, or a file can't be written
 */
export async function createHybridImage(
  { options, at, prototype }: Prepared,
  hypervisor: Hypervisor,
  scope: Scope,
): Promise<HybridImage> {
  const base = `${options.name}-${compactDay(at)}`
  const { disk: kind, diskDir, diskBytes: bytes, blockBytes } = options
  const work = await scope.tempDir(
    `hybrid-${options.name}`,
    kind === 'file' && diskDir ? resolve(diskDir) : undefined,
  )
  const serialLog = join(work, 'serial.log')
  const disk = await step('Make the disk', () =>
    makeDisk({ kind, bytes, blockBytes, parent: diskDir ?? '/data' }, work, scope),
  )
  await step('Install', async (report) => {
    await install(
      {
        name: options.name,
        hypervisor,
        hardware: options.hardware,
        firmware: await installFirmware(
          options.firmware,
          { layout: options.hardware, hypervisor },
          work,
        ),
        memoryMiB: options.memoryMiB,
        cpus: options.cpus,
        disks: [{ path: disk.path, format: 'raw' }],
        cdroms: [options.iso],
        vnc: options.vnc,
        extra: options.extra,
        reboots: options.reboots,
      },
      {
        phases: [],
        markers: options.markers,
        complaint: COMPLAINT,
        // A graphical installer may be silent on the serial port until its end.
        limits: { seconds: options.limit, silentSeconds: options.limit },
      },
      { scope, serialLog },
      report,
    )
  })
  await checkNotEmpty(disk)
  await checkForeign(disk.path, { bytes, refuse: options.refuseLeftovers })

  const output = resolve(options.output)
  await makeParents(output)
  // Builds of the same name may run side by side: each writes in a folder of its own.
  const partial = await mkdtemp(join(output, `.${base}-`)).catch((error: unknown) => {
    throw explain(`write to "${output}"`, error)
  })
  scope.defer(`Remove ${partial}`, () => rm(partial, { recursive: true, force: true }))
  const snapshot = await disk.snapshot({
    name: `zones/${base}@final`,
    guid: seededGuid(`${base}/${at.toISOString()}`, 'snapshot'),
    createdAtSeconds: Math.floor(at.getTime() / 1000),
  })
  const image = await step('Write the image', (report) =>
    writeZvolImage(snapshot, join(partial, `${base}.zfs.gz`), report),
  )
  const manifest = join(partial, `${base}.imgmanifest`)
  await step('Write the manifest', async () => {
    const { sha1, sha256, bytes } = image
    const file = { sha1, bytes, datasetGuid: snapshot.guid }
    if (prototype === undefined) {
      await writeManifest(imageManifest({ ...described(options, at), sha256, file }), manifest)
    } else {
      const filled = fillPrototype(
        prototype,
        prototypeValues(options, at, image),
        options.prototype!,
      )
      await writeFile(manifest, `${JSON.stringify(filled, undefined, 2)}\n`)
    }
    await copyLog(serialLog, join(partial, `${base}.serial.log`))
  })
  // The manifest comes last: what it names is there.
  const final = (ending: string) => join(output, `${base}.${ending}`)
  for (const ending of ['serial.log', 'zfs.gz', 'imgmanifest']) {
    await rename(join(partial, `${base}.${ending}`), final(ending))
  }
  return {
    manifest: final('imgmanifest'),
    image: { ...image, path: final('zfs.gz') },
    serialLog: final('serial.log'),
  }
}

/** An empty disk is what an installer leaves that gave up early. */
async function checkNotEmpty(disk: Disk): Promise<void> {
  if (!(await disk.isEmpty())) return
  throw new BuildError('Installation failed: it ended, and nothing is on the disk', {
    hint: 'Did the ISO boot, and does it install without questions? Look with VNC, or at its serial log',
  })
}
