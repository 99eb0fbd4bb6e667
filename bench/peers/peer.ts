/** What a peer is: another builder of Debian disks, from a package of Debian's, and how it is called for our job. */

/** The disk that all build: bootable, of one ext4 root file system, with the same packages from the same mirror. */
export type Job = {
  /** Of this run alone, on the file system that all use. */
  dir: string
  /** What a peer may keep from one run to the next. */
  cache: string
  codename: string
  mirror: string
  packages: readonly string[]
  gib: number
}

export type Peer = {
  name: string
  /** Program to Debian package. */
  needs: Record<string, string>
  /** Is there a cache of packages that the second run finds warm? */
  hasCache: boolean
  /** What was done so that it works where partitions of loop devices have to be made known by hand. */
  note: string
  /** Does its disk begin with a boot loader? */
  bootLoader: boolean
  /** Files to write into the job's directory before the clock runs, and the shell command that is timed. */
  prepare(job: Job): { files: Record<string, string>; command: string; disk: string }
}

/** Inside the new system, with the devices of the host: the boot loader for BIOS and its menu. */
export const installGrub = (root: string, disk: string) =>
  [
    `set -e`,
    `for one in dev proc sys; do mount --bind /$one ${root}/$one; done`,
    `chroot ${root} grub-install --target=i386-pc ${disk}`,
    `chroot ${root} update-grub`,
    `umount ${root}/sys ${root}/proc ${root}/dev`,
  ].join('\n')
