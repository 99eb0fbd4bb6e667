/**
 * Turns a directory into a disk that boots from UEFI and, where its machines have it, from BIOS, without loop devices or mounts: every
 * tool writes into the sparse file at an offset, so it works in containers.
 */
import { fileURLToPath } from 'node:url'
import { $, act, type Door } from '../cli/run.ts'
import { writeBiosBoot } from './boot-sectors.ts'
import { type Layout, SECTOR, sfdiskScript } from './layout.ts'
import { writeVolumeGroup } from './lvm.ts'

/** Files of the guest that the boot partitions are made of, copied to the host. */
export type BootFiles = {
  /** GRUB for BIOS; its layout has a partition for it. */
  bios?: { boot: string; core: string }
  /** Path on the EFI system partition to file on the host. */
  esp: Readonly<Record<string, string>>
}

/** Seconds since the epoch that file systems are stamped with. */
export type DiskTimes = { epoch: number }

const MKE2FS_CONFIG = fileURLToPath(new URL('mke2fs.conf', import.meta.url))

/** Write a partition table to an empty disk, and the volume group, if there is one. */
export async function partitionDisk(
  disk: string,
  layout: Layout,
  { epoch }: DiskTimes,
): Promise<void> {
  await $({ input: sfdiskScript(layout) })`sfdisk --quiet --no-reread --no-tell-kernel ${disk}`
  const { group, system } = layout
  if (!group) return
  await act(`write the volume group ${group.name} to ${disk}`, () =>
    writeVolumeGroup(disk, system.offset, group, epoch),
  )
}

/** mkfs.ext4's words: the root file system, filled from a directory, at its place in the disk. */
export function mkfsRootWords(disk: string, layout: Layout, directory: string): string[] {
  const { offset, length, fsUuid, hashSeed } = layout.root
  return [
    'mkfs.ext4',
    ...['-q', '-F'],
    ...['-L', 'rootfs'],
    ...['-U', fsUuid],
    ...['-E', `offset=${offset},hash_seed=${hashSeed},root_owner=0:0,nodiscard`],
    ...['-d', directory],
    disk,
    `${length / 1024}k`,
  ]
}

/** What mkfs.ext4 needs to know beside its words. */
export function mkfsRootEnv({ epoch }: DiskTimes): Record<string, string> {
  return { MKE2FS_CONFIG, E2FSPROGS_FAKE_TIME: String(epoch), SOURCE_DATE_EPOCH: String(epoch) }
}

/** Make and fill the EFI system partition, and write the boot sectors for BIOS, where there are any. */
export async function installBootLoaders(
  disk: string,
  layout: Layout,
  files: BootFiles,
  { epoch }: DiskTimes,
): Promise<void> {
  const { bios, esp } = layout
  const dated: Door = $({
    // FAT has local times.
    env: { SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' },
  })
  // Clusters of two sectors: with larger ones there would be too few for FAT32, and mtools refuses.
  await dated`mkfs.vfat --invariant -F 32 -s 2 -n ESP -i ${esp.volumeId} --offset ${esp.offset / SECTOR} ${disk} ${esp.length / 1024}`
  const place = `${disk}@@${esp.offset}`
  const folders = new Set(
    Object.keys(files.esp).flatMap((path) => {
      const parts = path.split('/').slice(0, -1)
      return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
    }),
  )
  await dated`mmd -i ${place} ${[...folders].map((folder) => `::/${folder}`)}`
  for (const [path, file] of Object.entries(files.esp)) {
    await dated`mcopy -i ${place} ${file} ::/${path}`
  }
  const { bios: images } = files
  if (!bios || !images) return
  await act(`write GRUB's boot sectors for BIOS to ${disk}`, () =>
    writeBiosBoot(disk, bios, images),
  )
}
