/**
 * The system on a disk, or in a root tar, opened for a look at its files: every file system that is known, on
 * partitions and on logical volumes, at the place where the system mounts it.
 */
import type { FileHandle } from 'node:fs/promises'
import { BuildError } from '../cli/errors.ts'
import { readVolumes } from '../disk/lvm-read.ts'
import { readPartitions } from '../disk/partitions.ts'
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

/**
 * Open the system of a raw disk.
 *
 * @param disk stays open as long as its files are read
 * @throws {BuildError} when no file system of it is a system's root, or one can't be read
 */
export async function openDisk(disk: FileHandle): Promise<SystemFiles> {
  const read = pagedBytes(disk.fd)
  const parts = readPartitions(read) ?? [{ offset: 0, length: 0 }]
  const volumes: Volume[] = []
  for (const { offset } of parts) {
    for (const start of (await readVolumes(disk, offset)) ?? [offset]) {
      const volume = openVolume(read, start)
      if (volume) volumes.push(volume)
    }
  }
  const root = volumes.find(isRoot)
  if (!root) {
    throw new BuildError(
      `Cannot find a system's files: none of ${parts.length} partitions holds ext4 or XFS with /etc`,
      { hint: 'It may be encrypted, or on a file system that is not known here' },
    )
  }
  const mounts = mountsOf(root)
  const mounted = new Map([['/', root]])
  for (const volume of volumes.filter((one) => one !== root)) {
    const place = mounts.get(`uuid=${volume.uuid}`) ?? usualPlace(volume)
    if (place !== undefined && !mounted.has(place)) mounted.set(place, volume)
  }
  return new SystemFiles(mounted)
}

/** Open a root tar. @throws {BuildError} when it is none */
export async function openRootTar(tar: FileHandle): Promise<SystemFiles> {
  const { size } = await tar.stat()
  return new SystemFiles(new Map([['/', openTar(pagedBytes(tar.fd), size)]]))
}
