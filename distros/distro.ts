/** What a distro definition holds. Definitions are data: they import types and nothing else. */

/** Architectures that images are built for, as Debian's packages and MAAS call them. */
export type Arch = 'amd64' | 'arm64'

/** A place that packages come from, as apt's sources name it. */
export type Mirror = {
  /** Main archive; undefined: the default of the bootstrap program, which is the vendor's. */
  main?: string
  /** Security archive; undefined together with `main`: the default as well. */
  security?: string
  /** Holds releases that are no longer renewed: their signatures' dates are past. */
  archived?: true
}

/** Where a release's installation media are found; lib/media/media.ts says what the fields mean. */
export type ReleaseMedia = {
  roots: readonly string[]
  linked?: true
  sums: string
  signature: 'inside' | 'none' | { beside: string }
  /** Names of the media. The group `point`, or `minor` behind the version, is the point release. */
  file: RegExp
  /** Who signs: fingerprints of primary keys, and where a key may be had from. */
  key: { fingerprints: readonly string[]; file: string; url: string } | undefined
}

/** How a vendor's installer is told what to do, and watched (method installer). */
export type Installer = {
  /** Where kernel and initrd are on a medium; the first pair that is there is booted. */
  boot: readonly { kernel: string; initrd: string }[]
  /** Templates, as answers are. */
  kernelArguments: readonly string[]
  /** Files that it reads, each of one template below distros/ or of several behind each other. */
  answers: readonly {
    to: string
    from: readonly (string | Readonly<Record<'plain' | 'lvm', string>>)[]
    mode: 0o644 | 0o755
  }[]
  /** Which of the files takes the operator's own answers, at its end. */
  ownAnswers: string
  /** The files are in its initrd, or on a second CD of this label. */
  carrier: 'initrd' | { cd: string }
  /**
   * The guest's set-up: files in the initrd, or an archive of them that a template has as @GUEST@, which
   * survives where the initrd does not.
   */
  guest: 'files' | 'archive'
  /** Templates name what the medium has: @LABEL@, and @MEDIUM_PACKAGES@ when these paths are on it. */
  packagesOnMedium?: readonly string[]
  /** Where on its host the installer expects a security mirror, if it can be told of one. */
  securityPath?: string
  /** Scripts inside a system that has its disk: what the installer left is taken away, both boot loaders. */
  installed: readonly string[]
  /** In order; `begins` is a line on the serial console. */
  phases: readonly { title: string; begins: RegExp }[]
  /** What it shows when it waits for an answer. */
  question: RegExp
  /** Lines in which it says what went wrong. */
  complaint: RegExp
  /** Names of its status lines, without JOYENT_STATUS_. */
  markers: readonly string[]
  /** Of the machine that it runs in, unless the operator says otherwise. */
  memory: `${number}G`
  /** Without a line on the console, and for one phase: emulated machines are slow. */
  limits: { silentSeconds: number; seconds: number }
}

export type Release = {
  /** As the vendor writes it: `12`. A string, because 10.10 is not 10.1. */
  version: string
  /** Empty where the vendor has none, or another for each point release. */
  codename: string
  /** Where it is not the distro's title and the version. */
  title?: string
  /** Day when the vendor's support ends, long-term support included (YYYY-MM-DD). */
  endOfLife: string
  /** Default kernel package. */
  kernel: string
  /** The one with drivers of real machines, where that is another. */
  hardwareKernel?: string
  /** Packages beyond the distro's own list. */
  packages: readonly string[]
  media: ReleaseMedia
  /** Its cloud image, where the vendor has one: as media are. */
  cloudMedia?: ReleaseMedia
  /** What its installer fetches packages from, below a mirror that --mirror replaces. */
  repositories?: {
    mirror: string
    base: string
    others: readonly { name: string; path: string }[]
  }
  /** How its media name themselves; lib/media/medium.ts says what the fields are. */
  identity?: { label?: RegExp; info?: RegExp; tree?: RegExp }
  /** More values for its templates. */
  values?: Readonly<Record<string, string>>
  /** Where its system differs from the distro's. */
  system?: Partial<
    Pick<Distro, 'packages' | 'setup' | 'rootTar' | 'cloudImage' | 'cleanUp' | 'environment'>
  >
  /** The one firmware that it boots from; undefined: BIOS and UEFI. */
  firmware?: 'bios'
  /** What its installer and its system need to run on; undefined: any 64-bit processor. */
  cpu?: 'x86-64-v2' | 'x86-64-v3'
  /** Where its installer differs from the distro's. */
  installer?: Partial<Installer>
}

/** Addresses of archives that keep old states, with {snapshot} for the time: 20261101T000000Z. */
export type Snapshots = { main: string; security?: string }

/** What method bootstrap needs to know: packages that a mirror has, and how they boot. */
export type Bootstrap = {
  /** Who keeps its old states, where somebody does. */
  snapshots?: Snapshots
  /** Where an instance gets its security updates. */
  securityMirror: string
  /** Tried in turn; the last ones hold releases that left the main mirrors. */
  mirrors: readonly Mirror[]
  components: readonly string[]
  /** What a system needs to find itself on such a disk, beyond what every image has. */
  layoutPackages: Readonly<Record<'plain' | 'lvm', readonly string[]>>
  /**
   * Keys that sign the packages: a file, and the package that brings it; or, where few hosts have such a
   * package, the key's fingerprint and where it may be had from.
   */
  keyring:
    { file: string; apt: string } | { file: string; fingerprints: readonly string[]; url: string }
  /** Where the vendor's signed boot loader looks for its configuration: /EFI/<this>. */
  efiVendor: string
  /** File of the new system in which the pattern's first group is the point release. */
  point: { file: string; pattern: RegExp }
  /** Makes what the kernels boot with, inside a system that has no disk yet. */
  initramfs: string
  /** Prepares the boot loader there, behind it. */
  bootLoader: string
  /** Of the packages those that a system without a disk of its own leaves to who deploys it. */
  bootPackages: readonly string[]
}

export type Distro = {
  /** Lower-case word in names of images and commands. */
  name: string
  title: string
  homepage: string
  /** Login user of the image. */
  defaultUser: string
  releases: readonly Release[]
  /** How MAAS deploys it. */
  maas: {
    /** Login user of a deployed machine. */
    user: string
    /** It is one of MAAS' own, which brings a kernel to it. */
    own?: true
    /** The system that MAAS is to take it for. */
    base?: string
  }
  /** It has what target libvirt sets up: systemd-networkd, systemd-resolved, apt and its upgrades. */
  libvirt?: true
  /** In every image, whatever the release; the kernel comes on top. */
  packages: readonly string[]
  /** Absent where it can't be done; where it is there, it is the default method. */
  bootstrap?: Bootstrap
  installer: Installer
  /**
   * What other architectures than amd64 change, where it can be built for them: by methods that bring no
   * installer, as installers' media and answers are known for amd64 alone.
   */
  others?: Partial<Record<Exclude<Arch, 'amd64'>, Partial<Distro>>>
  /** How the vendor's cloud image becomes ours; scripts that run inside it: one installs, the others are last. */
  cloudImage?: { packages: string; finish: readonly string[] } | undefined
  /** Scripts below distros/ run inside the new system, in this order, by every method. */
  setup: readonly string[]
  /**
   * Behind them in a system that was made in a machine and ships as a root tar: scripts that take away what
   * whoever deploys it brings. Undefined: it can't ship so.
   */
  rootTar?: readonly string[] | undefined
  /** Last of all: takes away what belongs to the build. */
  cleanUp: string
  /** For those scripts. */
  environment: Readonly<Record<string, string>>
}

/** The distro as it is on an architecture; undefined where it is not built for that. */
export function onArch(distro: Distro, arch: Arch): Distro | undefined {
  if (arch === 'amd64') return distro
  const changes = distro.others?.[arch]
  return changes && { ...distro, ...changes }
}

/** The distro as one of its releases has it. */
export const systemOf = (distro: Distro, release: Release): Distro => ({
  ...distro,
  ...release.system,
})

/** The release named on the command line, or undefined. */
export function findRelease(distro: Distro, version: string): Release | undefined {
  return distro.releases.find(
    (release) => release.version === version || (version !== '' && release.codename === version),
  )
}
