/** The parts of a recipe that methods with a machine need. */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Distro, type Release, systemOf } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import { parseSize } from '../cli/options.ts'
import type { HypervisorWishes } from '../host/hypervisor.ts'
import { checkGiven, type GivenMedia, parseDigest } from '../media/given.ts'
import { checkUserData } from '../methods/user-data.ts'
import type { ImageFormat } from '../targets/target.ts'
import { targetOf } from '../targets/targets.ts'
import type { ImageOptions } from './image-options.ts'
import { findOwn } from './own-file.ts'

const MIB = 1024 ** 2

/** The machine that a method needs. */
export type MachineRecipe = {
  hypervisor: HypervisorWishes
  memoryMiB: number
  cpus: number
  vnc: string
  limitSeconds: number
}

export type CloudRecipe = MachineRecipe & {
  /** The operator's own image; undefined: the vendor's newest. */
  base: GivenMedia | undefined
  /** Digest that the vendor's has to have. */
  pinned: string | undefined
  /** Kernel package that takes the place of the image's. */
  kernel: string | undefined
  /** Directory that the operator's script can fetch from. */
  files: string | undefined
  userData: string | undefined
}

export type InstallerRecipe = MachineRecipe & {
  /** The operator's own medium; undefined: the vendor's newest. */
  medium: GivenMedia | undefined
  /** Digest that the vendor's medium has to have. */
  pinned: string | undefined
  key: string | undefined
  answers: string | undefined
}

function machineRecipe(memory: string, release: Release, options: ImageOptions): MachineRecipe {
  return {
    hypervisor: {
      machine: options.machine,
      accel: options.accel,
      arch: options.arch,
      qemu: options['qemu-binary'],
      cpu: release.cpu,
    },
    memoryMiB: (options.memory ?? parseSize(memory)) / MIB,
    cpus: options.cpus,
    vnc: options.vnc,
    limitSeconds: options.timeout,
  }
}

/** @throws {UsageError} for media options that do not fit, or files that are not there */
export async function installerRecipe(
  distro: Distro,
  release: Release,
  options: ImageOptions,
): Promise<InstallerRecipe> {
  const { iso, checksum, key, answers } = options
  if (iso !== undefined && options.media !== undefined) {
    throw new UsageError('Option --media says nothing beside --iso')
  }
  if (iso === undefined && checksum !== undefined) parseDigest(checksum)
  const medium = iso === undefined ? undefined : { iso, checksum }
  if (medium) checkGiven(medium)
  return {
    medium,
    pinned: iso === undefined ? checksum : undefined,
    key: key === undefined ? undefined : await findOwn('key', key),
    answers: answers === undefined ? undefined : await findOwn('answers', answers),
    ...machineRecipe(distro.installer.memory, release, options),
  }
}

/** @throws {UsageError} when it can't be read, or is of no use to cloud-init */
async function ownUserData(path: string): Promise<string> {
  const found = await findOwn('user-data', path)
  await checkUserData(await readFile(found, 'utf8'), path)
  return found
}

/** Of the machine that a cloud image is set up in. */
const CLOUD_MEMORY = '2G'

/** @throws {UsageError} for a distro whose cloud images nobody has described */
export async function cloudRecipe(
  distro: Distro,
  release: Release,
  options: ImageOptions,
  format: ImageFormat,
): Promise<CloudRecipe> {
  const { base, checksum, files, 'user-data': userData } = options
  const hardware = format !== 'tgz' && targetOf(options).hardware
  const kernel = options.kernel ?? (hardware ? release.hardwareKernel : undefined)
  const title = release.title ?? `${distro.title} ${release.version}`
  if (!systemOf(distro, release).cloudImage) {
    throw new UsageError(`${title} can't be built by --method cloud-image`)
  }
  if (base === undefined && !release.cloudMedia) {
    throw new UsageError(`Method cloud-image needs --base for ${title}`, {
      hint: "Its vendor has no list of cloud images: fetch one, and compare its digest with the vendor's page",
    })
  }
  if (base === undefined && checksum !== undefined) parseDigest(checksum)
  const given = base === undefined ? undefined : { iso: base, checksum }
  if (given) checkGiven(given)
  if (files !== undefined && !(await stat(files).catch(() => undefined))?.isDirectory()) {
    throw new UsageError(`Cannot read --files "${files}": it is no directory`)
  }
  return {
    base: given,
    pinned: base === undefined ? checksum : undefined,
    kernel,
    files: files === undefined ? undefined : resolve(files),
    userData: userData === undefined ? undefined : await ownUserData(userData),
    ...machineRecipe(CLOUD_MEMORY, release, options),
  }
}
