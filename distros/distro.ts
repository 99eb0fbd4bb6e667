/** What a distro definition holds. Definitions are data: they import types and nothing else. */

/** A place that packages come from, as apt's sources name it. */
export type Mirror = {
  /** Main archive; undefined: the default of the bootstrap program, which is the vendor's. */
  main?: string
  /** Security archive; undefined together with `main`: the default as well. */
  security?: string
  /** Holds releases that are no longer renewed: their signatures' dates are past. */
  archived?: true
}

export type Release = {
  /** As the vendor writes it: `12`. A string, because 10.10 is not 10.1. */
  version: string
  codename: string
  /** Day when the vendor's support ends, long-term support included (YYYY-MM-DD). */
  endOfLife: string
  /** Default kernel package. */
  kernel: string
  /** Packages beyond the distro's own list. */
  packages: readonly string[]
}

export type Distro = {
  /** Lower-case word in names of images and commands. */
  name: string
  title: string
  homepage: string
  /** Login user of the image. */
  defaultUser: string
  releases: readonly Release[]
  /** Where an instance gets its security updates. */
  securityMirror: string
  /** Tried in turn; the last ones hold releases that left the main mirrors. */
  mirrors: readonly Mirror[]
  components: readonly string[]
  /** Keys that sign the packages: a file, and the package that brings it. */
  keyring: { file: string; apt: string }
  /** In every image, whatever the release; the kernel comes on top. */
  packages: readonly string[]
  /** Where the vendor's signed boot loader looks for its configuration: /EFI/<this>. */
  efiVendor: string
  /** Scripts below distros/ run inside the new system, in this order, by every method. */
  setup: readonly string[]
  /** For method bootstrap: prepares the boot loader inside a system that has no disk yet. */
  bootLoader: string
  /** Last of all: takes away what belongs to the build. */
  cleanUp: string
}

/** The release named on the command line, or undefined. */
export function findRelease(distro: Distro, version: string): Release | undefined {
  return distro.releases.find(
    (release) => release.version === version || release.codename === version,
  )
}
