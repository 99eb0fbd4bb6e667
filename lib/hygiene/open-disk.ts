/**
 * The system on a disk, or in a root tar, opened for a look at its files: every file system that is known, on
 * partitions and on logical volumes, at the place where the system mounts it.
 */
import type { FileHandle } from 'node:fs/promises'
import { BuildError } from '../cli/errors.ts'
import { type LogicalVolume, namedVolumes, readGroup } from '../disk/lvm-read.ts'
import { type Part, readPartitions } from '../disk/partitions.ts'
import { pagedBytes, partOf, type ReadBytes } from './bytes.ts'
import { openExt } from './ext.ts'
import { isFat, openFat } from './fat.ts'
import { SystemFiles, type Volume } from './files.ts'
import { openTar } from './tar.ts'
import { openXfs } from './xfs.ts'

function openVolume(read: ReadBytes, start: number): Volume | undefined {
  const part = partOf(read, start)
  if (part(1024 + 56, 2).readUInt16LE(0) === 0xef53) return openExt(part, start)
  if (part(0, 4).toString('latin1') === 'XFSB') return openXfs(part, start)
  return isFat(part) ? openFat(part, start) : undefined
}

const isRoot = ({ entries, root }: Volume) => {
  const names = entries(root)
  return names.has('etc') && (names.has('usr') || names.has('bin'))
}

/** Where /etc/fstab mounts file systems, by what is in front of the place. */
function mountsOf(root: Volume): Map<string, string> {
  const fstab = new SystemFiles(new Map([['/', root]])).text('/etc/fstab') ?? ''
  return new Map(
    [...fstab.matchAll(/^\s*([^#\s]\S*)\s+(\/\S*)/gm)].map(([, what, where]) => [
      what!.replaceAll('"', '').toLowerCase(),
      where!.replace(/(.)\/$/, '$1'),
    ]),
  )
}

/** What the names in a volume's root say, where /etc/fstab says nothing that we can tell. */
function usualPlace(volume: Volume): string | undefined {
  const names = [...volume.entries(volume.root).keys()]
  if (names.includes('efi')) return '/boot/efi'
  return names.some((name) => /^(grub2?|vmlinuz-.*)$/.test(name)) ? '/boot' : undefined
}

/** A place on the disk that may have a file system. */
type Slot = {
  /** For messages. */
  what: string
  /** Bytes from the disk's beginning; undefined: it does not lie there in one piece. */
  start: number | undefined
  /** What /etc/fstab may call it beside what the file system itself says, in lower case. */
  names: readonly string[]
}

/** It has code of the boot loader's, and no files. */
const BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'

/** Names of a partition. Source: udev's 60-persistent-storage.rules; the kernel's block drivers. */
function partNames({ number, uuid, label }: Part): string[] {
  const drives = 'abcdefgh'.split('')
  return [
    ...(uuid === undefined ? [] : [`partuuid=${uuid}`, `/dev/disk/by-partuuid/${uuid}`]),
    ...(label ? [`partlabel=${label}`, `/dev/disk/by-partlabel/${label}`] : []),
    // There is one disk, whatever its driver calls it.
    ...['sd', 'vd', 'xvd', 'hd'].flatMap((kind) => drives.map((x) => `/dev/${kind}${x}${number}`)),
    ...['nvme0n1p', 'mmcblk0p'].map((kind) => `/dev/${kind}${number}`),
  ].map((name) => name.toLowerCase())
}

function volumeNames({ group, name }: LogicalVolume): string[] {
  // The device mapper's names have one hyphen between group and volume; those of their own are two.
  const [a, b] = [group, name].map((one) => one.replaceAll('-', '--'))
  return [`/dev/mapper/${a}-${b}`, `/dev/${group}/${name}`].map((one) => one.toLowerCase())
}

async function slotsOf(disk: FileHandle, read: ReadBytes): Promise<Slot[]> {
  const parts = readPartitions(read)
  if (!parts) return [{ what: 'the disk', start: 0, names: [] }]
  const slots: Slot[] = []
  for (const part of parts.filter(({ type }) => type !== BIOS_BOOT)) {
    const what = `partition ${part.number}`
    const text = await readGroup(disk, part.offset)
    if (text === undefined) slots.push({ what, start: part.offset, names: partNames(part) })
    else {
      const volumes = namedVolumes(text)
      // A group without volumes does not speak of any.
      const speaks = text === '' || /\blogical_volumes \{/.test(text)
      if (volumes.length === 0 && speaks) slots.push({ what, start: undefined, names: [] })
      for (const volume of volumes) {
        const start = volume.start === undefined ? undefined : part.offset + volume.start
        slots.push({
          what: `logical volume ${volume.group}/${volume.name}`,
          start: Number.isSafeInteger(start) ? start : undefined,
          names: volumeNames(volume),
        })
      }
    }
  }
  return slots
}

/** As far as headers of file systems and of encryption go. */
const HEAD = 256 * 1024
/** Where swap says that it is some: at the end of its first page, of 4 KiB or 64. */
const SWAP = [4096, 65536].map((page) => page - 10)

/** Is there anything of which nobody knows what it is? */
function isStrange(read: ReadBytes, start: number): boolean {
  const head = read(start, HEAD)
  if (SWAP.some((at) => head.toString('latin1', at, at + 10) === 'SWAPSPACE2')) return false
  return head.some((byte) => byte !== 0)
}

/**
 * Open the system of a raw disk.
 *
 * @param disk stays open as long as its files are read
 * @throws {BuildError} when no file system of it is a system's root, or one can't be read
 */
export async function openDisk(disk: FileHandle): Promise<SystemFiles> {
  const read = pagedBytes(disk.fd)
  const slots = await slotsOf(disk, read)
  const volumes: { slot: Slot; volume: Volume }[] = []
  const unread: string[] = []
  for (const slot of slots) {
    if (slot.start === undefined) {
      unread.push(`${slot.what} does not lie in one piece that can be read`)
      continue
    }
    const volume = openVolume(read, slot.start)
    if (volume) volumes.push({ slot, volume })
    else if (isStrange(read, slot.start)) {
      unread.push(`${slot.what} is encrypted, or has a file system that is not known here`)
    }
  }
  const root = volumes.find(({ volume }) => isRoot(volume))?.volume
  if (!root) {
    throw new BuildError(
      `Cannot find a system's files: none of ${slots.length} partitions holds ext4 or XFS with /etc`,
      { hint: 'It may be encrypted, or on a file system that is not known here' },
    )
  }
  const mounts = mountsOf(root)
  const mounted = new Map([['/', root]])
  for (const { slot, volume } of volumes.filter((one) => one.volume !== root)) {
    const { uuid, label } = volume
    const names = [
      ...(uuid === undefined ? [] : [`uuid=${uuid}`, `/dev/disk/by-uuid/${uuid}`]),
      ...(label ? [`label=${label}`, `/dev/disk/by-label/${label}`] : []),
    ].map((name) => name.toLowerCase())
    const said = [...names, ...slot.names].map((name) => mounts.get(name)).find(Boolean)
    const place = said ?? usualPlace(volume)
    if (place !== undefined && !mounted.has(place)) mounted.set(place, volume)
    else if (volume.entries(volume.root).size > 0) {
      unread.push(`${slot.what} is mounted nowhere that /etc/fstab tells`)
    }
  }
  return new SystemFiles(mounted, unread)
}

/** Open a root tar. @throws {BuildError} when it is none */
export async function openRootTar(tar: FileHandle): Promise<SystemFiles> {
  const { size } = await tar.stat()
  return new SystemFiles(new Map([['/', openTar(pagedBytes(tar.fd), size)]]))
}
