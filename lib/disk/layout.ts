/**
 * Where the partitions of an image are: GPT with a BIOS boot partition (GRUB's core for BIOS, where its
 * machines have one), an EFI system partition (GRUB for UEFI) and the system's, which is last so that it can
 * grow. It is the root file system (layout "plain"), or a volume group whose one logical volume is (layout
 * "lvm").
 *
 * Units are bytes unless a name says sectors (512 bytes each). Partitions start at whole MiB.
 */
import { seededLvmId, seededUuid, seededVolumeId } from './identity.ts'
import { DATA_START, EXTENT_BYTES, extentsOf, mapperPath, type VolumeGroup } from './lvm.ts'

const MIB = 1024 ** 2
export const SECTOR = 512

export const LAYOUTS = ['plain', 'lvm'] as const
export type LayoutName = (typeof LAYOUTS)[number]

export type Partition = { number: number; offset: number; length: number; uuid: string }

export type Layout = {
  bytes: number
  diskUuid: string
  /** Undefined: it boots from UEFI alone. */
  bios: Partition | undefined
  esp: Partition & { volumeId: string }
  /** The last partition. */
  system: Partition
  /** What it is, unless it is the root file system. */
  group?: VolumeGroup
  root: {
    offset: number
    length: number
    fsUuid: string
    hashSeed: string
    /** The kernel's root=, as grub-mkconfig writes it. */
    device: string
  }
}

/** FAT32 wants more than 65,525 clusters: 128 MiB is well above, and costs nothing while empty. */
const ESP_BYTES = 128 * MIB

/** The smallest disk that a server system fits on with some room. */
export const SMALLEST_DISK = 2048 * MIB

/** @param bootsBios has a place for a boot loader that BIOS starts, beside UEFI's */
export function makeLayout(
  name: LayoutName,
  bytes: number,
  seed: string,
  bootsBios = true,
): Layout {
  const bios = bootsBios
    ? { number: 1, offset: MIB, length: MIB, uuid: seededUuid(seed, 'bios') }
    : undefined
  const esp = {
    number: bios ? 2 : 1,
    offset: bios ? bios.offset + bios.length : MIB,
    length: ESP_BYTES,
    uuid: seededUuid(seed, 'esp'),
    volumeId: seededVolumeId(seed, 'esp-volume'),
  }
  const offset = esp.offset + esp.length
  const system = {
    number: esp.number + 1,
    offset,
    length: bytes - MIB - offset, // the last MiB holds the backup of the table
    uuid: seededUuid(seed, 'root'),
  }
  const fsUuid = seededUuid(seed, 'root-fs')
  const ids = { fsUuid, hashSeed: seededUuid(seed, 'root-hash') }
  const shared = { bytes, diskUuid: seededUuid(seed, 'disk'), bios, esp, system }
  if (name === 'plain') {
    const root = { offset, length: system.length, ...ids, device: `UUID=${fsUuid}` }
    return { ...shared, root }
  }
  // The names that the installers' layouts of this name have.
  const group: VolumeGroup = {
    name: 'rootvg',
    volume: 'rootlv',
    id: seededLvmId(seed, 'group'),
    physicalId: seededLvmId(seed, 'physical-volume'),
    volumeId: seededLvmId(seed, 'logical-volume'),
    bytes: system.length,
  }
  const root = {
    offset: offset + DATA_START,
    length: extentsOf(group.bytes) * EXTENT_BYTES,
    ...ids,
    device: mapperPath(group),
  }
  return { ...shared, group, root }
}

/**
 * Partition types. Source: UEFI specification, "GPT partition entry"; GRUB manual, "BIOS installation";
 * util-linux, include/pt-gpt-partnames.h.
 */
const TYPES = {
  bios: '21686148-6449-6E6F-744E-656564454649',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  root: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  lvm: 'E6D6D379-F507-44C2-A23C-238F2A3DF928',
}

/** What sfdisk reads to write the table. */
export function sfdiskScript(layout: Layout): string {
  const row = (name: keyof typeof TYPES, { offset, length, uuid }: Partition) =>
    `start=${offset / SECTOR}, size=${length / SECTOR}, type=${TYPES[name]}, uuid=${uuid}, name=${name}`
  return [
    'label: gpt',
    `label-id: ${layout.diskUuid}`,
    'unit: sectors',
    '',
    ...(layout.bios ? [row('bios', layout.bios)] : []),
    row('esp', layout.esp),
    row(layout.group ? 'lvm' : 'root', layout.system),
    '',
  ].join('\n')
}
