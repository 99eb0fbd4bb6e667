/**
 * Where the partitions of an image are: GPT with a BIOS boot partition (GRUB's core for BIOS), an
 * EFI system partition (GRUB for UEFI) and the root file system, which is last so that it can grow.
 *
 * Units are bytes unless a name says sectors (512 bytes each). Partitions start at whole MiB.
 */
import { seededUuid, seededVolumeId } from './identity.ts'

const MIB = 1024 ** 2
export const SECTOR = 512

export type Partition = { number: number; offset: number; length: number; uuid: string }

export type Layout = {
  bytes: number
  diskUuid: string
  bios: Partition
  esp: Partition & { volumeId: string }
  root: Partition & { fsUuid: string; hashSeed: string }
}

/** FAT32 wants more than 65,525 clusters: 128 MiB is well above, and costs nothing while empty. */
const ESP_BYTES = 128 * MIB

/** The smallest disk that a server system fits on with some room. */
export const SMALLEST_DISK = 2048 * MIB

export function plainLayout(bytes: number, seed: string): Layout {
  const bios = { number: 1, offset: MIB, length: MIB, uuid: seededUuid(seed, 'bios') }
  const esp = {
    number: 2,
    offset: bios.offset + bios.length,
    length: ESP_BYTES,
    uuid: seededUuid(seed, 'esp'),
    volumeId: seededVolumeId(seed, 'esp-volume'),
  }
  const offset = esp.offset + esp.length
  const root = {
    number: 3,
    offset,
    length: bytes - MIB - offset, // the last MiB holds the backup of the table
    uuid: seededUuid(seed, 'root'),
    fsUuid: seededUuid(seed, 'root-fs'),
    hashSeed: seededUuid(seed, 'root-hash'),
  }
  return { bytes, diskUuid: seededUuid(seed, 'disk'), bios, esp, root }
}

/** Partition types. Source: UEFI specification, "GPT partition entry"; GRUB manual, "BIOS installation". */
const TYPES = {
  bios: '21686148-6449-6E6F-744E-656564454649',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  root: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
}

/** What sfdisk reads to write the table. */
export function sfdiskScript(layout: Layout): string {
  const row = (name: 'bios' | 'esp' | 'root') => {
    const { offset, length, uuid } = layout[name]
    return `start=${offset / SECTOR}, size=${length / SECTOR}, type=${TYPES[name]}, uuid=${uuid}, name=${name}`
  }
  return [
    'label: gpt',
    `label-id: ${layout.diskUuid}`,
    'unit: sectors',
    '',
    row('bios'),
    row('esp'),
    row('root'),
    '',
  ].join('\n')
}
