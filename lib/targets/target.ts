/** What a target is: who an image is for, what its guest needs beyond its distro's own set-up, and how it ships. */

/** What a build can ship; the words of `maas` for its own. */
export const IMAGE_FORMATS = ['zfs.gz', 'tgz', 'ddgz'] as const
export type ImageFormat = (typeof IMAGE_FORMATS)[number]

/** Endings of the files. */
export const ENDINGS: Record<ImageFormat, string> = {
  'zfs.gz': 'zfs.gz',
  tgz: 'tar.gz',
  ddgz: 'dd.gz',
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
  image: string
  manifest?: string
  /** Who logs in. */
  user: string
  /** What MAAS takes it for, where it is none of its own systems. */
  base?: string | undefined
}

export type Target = {
  name: string
  /** Behind the title in an image's description. */
  about: string
  /** In the message of the day: `built for ...`. */
  madeFor: string
  /** What it takes, its default first. */
  formats: readonly [ImageFormat, ...ImageFormat[]]
  files: readonly GuestFile[]
  /** Programs for the guest, below the project's folder: a directory, and what installs it there. */
  guestTools: { directory: string; install: string }
  /** Beyond the distro's own. */
  packages: readonly string[]
  kernelArguments: readonly string[]
  /** Where the boot menu is shown, as GRUB names it. */
  grubTerminals: string
  /** It runs on real machines: their drivers are needed. */
  hardware: boolean
  /** An image has a manifest beside it. */
  manifest: boolean
  /** What an operator does with it, a line each. */
  handOver(finished: Finished): string[]
}
