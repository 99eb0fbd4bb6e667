/** What a target is: who an image is for, what its guest needs beyond its distro's own set-up, and how it ships. */
import type { Arch, Distro } from '../../distros/distro.ts'
import type { LeftoverName } from '../hygiene/leftovers.ts'
import type { Variables, VariableTable } from './variables.ts'

/** What a build can ship; the words of `maas` for its own. */
export const IMAGE_FORMATS = ['zfs.gz', 'tgz', 'ddgz', 'qcow2'] as const
export type ImageFormat = (typeof IMAGE_FORMATS)[number]

/** Endings of the files. */
export const ENDINGS: Record<ImageFormat, string> = {
  'zfs.gz': 'zfs.gz',
  tgz: 'tar.gz',
  ddgz: 'dd.gz',
  qcow2: 'qcow2',
}

export type GuestFile = {
  /** Below the project's folder. */
  from: string
  /** Absolute, in the guest. */
  to: string
}

/** A finished image, as a target's own tools are told of it. */
export type Finished = {
  name: string
  title: string
  format: ImageFormat
  arch: Arch
  image: string
  manifest?: string
  /** Who logs in. */
  user: string
  /** What MAAS takes it for, where it is none of its own systems. */
  base?: string | undefined
  /** Of the target, with their values. */
  variables: Variables
}

export type Target = {
  name: string
  /** Behind the title in an image's description. */
  about: string
  /** In the message of the day: `built for ...`. */
  madeFor: string
  /** Why it can't be built of a distro; undefined: it can. */
  refuses?(distro: Distro): string | undefined
  /** What it takes, its default first. */
  formats: readonly [ImageFormat, ...ImageFormat[]]
  /** Architectures that it does not run on, and why. */
  refusesArch?: Partial<Record<Arch, string>>
  files: readonly GuestFile[]
  /**
   * Programs for the guest, below the project's folder: a directory, what installs it there, and what is run
   * behind everything else, the clean-up included.
   */
  guestTools: { directory: string; install: string; last?: string }
  /** What its operators may set. */
  variables: VariableTable
  /** Beyond the distro's own. */
  packages: (variables: Variables) => readonly string[]
  kernelArguments: readonly string[]
  /** Where the boot menu is shown, as GRUB names it. */
  grubTerminals: string
  /** It runs on real machines: their drivers are needed. */
  hardware: boolean
  /** What is a leftover elsewhere and belongs into its images, by name, and why. */
  leftovers: Readonly<Partial<Record<LeftoverName, string>>>
  /** An image has a manifest beside it. */
  manifest: boolean
  /** What an operator does with it, a line each. */
  handOver(finished: Finished): string[]
}
