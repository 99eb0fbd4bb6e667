/**
 * A volume group in a disk file: LVM2's label, metadata area and text, written without the device
 * mapper, for one physical volume that one logical volume fills from end to end.
 *
 * Offsets are bytes from the beginning of the physical volume, numbers little-endian:
 *
 *     512      label: which sector it is in, checksum, where the header is
 *     544      header: identifier, size, where data and metadata are, each list ended by zeros
 *     4096     metadata area: a sector of its own that says where the current text is, then texts
 *     1 MiB    extents of 4 MiB
 *
 * Source: LVM2, lib/label/label.h, lib/format_text/layout.h, format-text.c and export.c; what is
 * made is compared with what vgcreate and lvcreate of 2.03.16 made.
 */
import { open } from 'node:fs/promises'

const KIB = 1024
const SECTOR = 512
const LABEL = SECTOR // lvm looks for it in the first four sectors, and itself takes the second
const HEADER = LABEL + 32
const METADATA = 4 * KIB
const METADATA_HEADER = SECTOR
const CREATION_HOST = 'hybrid-images'

/** Where the extents of a physical volume begin. */
export const DATA_START = KIB ** 2
export const EXTENT_BYTES = 4 * KIB ** 2

export type VolumeGroup = {
  /** Names of the group and of its logical volume, without hyphens. */
  name: string
  volume: string
  /** Identifiers as seededLvmId() makes them. */
  id: string
  physicalId: string
  volumeId: string
  /** Of the physical volume, in bytes. */
  bytes: number
}

/** How many extents fit. */
export const extentsOf = (bytes: number) => Math.floor((bytes - DATA_START) / EXTENT_BYTES)

/** The logical volume's name in a running system, as the kernel's root= and grub-mkconfig have it. */
export const mapperPath = ({ name, volume }: VolumeGroup) => `/dev/mapper/${name}-${volume}`

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** LVM2's checksum: the CRC of zip files, with another beginning and no inversion at the end. */
export function lvmCrc(bytes: Uint8Array): number {
  let crc = 0xf597a6cf
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return crc >>> 0
}

/** An identifier with the hyphens that people read, and the text has. */
export const hyphenated = (id: string) =>
  id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7')

/** A physical volume from its beginning up to the end of the text; zeros follow. */
export function physicalVolume(group: VolumeGroup, epochSeconds: number): Buffer {
  const text = Buffer.from(`${metadataText(group, epochSeconds)}\0`)
  const volume = Buffer.alloc(METADATA + METADATA_HEADER + text.length)
  label(group).copy(volume, LABEL)
  metadataHeader({ bytes: text.length, crc: lvmCrc(text) }).copy(volume, METADATA)
  text.copy(volume, METADATA + METADATA_HEADER)
  return volume
}

/** Make a part of a disk, which holds zeros, a volume group. */
export async function writeVolumeGroup(
  disk: string,
  offset: number,
  group: VolumeGroup,
  epochSeconds: number,
): Promise<void> {
  const volume = physicalVolume(group, epochSeconds)
  const file = await open(disk, 'r+')
  try {
    await file.write(volume, 0, volume.length, offset)
  } finally {
    await file.close()
  }
}

/** The sector with label and header. */
export function label({ physicalId, bytes }: Pick<VolumeGroup, 'physicalId' | 'bytes'>): Buffer {
  const sector = Buffer.alloc(SECTOR)
  sector.write('LABELONE', 0) // id (8)
  sector.writeBigUInt64LE(BigInt(LABEL / SECTOR), 8) // sector (8)
  sector.writeUInt32LE(HEADER - LABEL, 20) // offset of the header (4)
  sector.write('LVM2 001', 24) // type (8)
  let at = HEADER - LABEL
  const u64 = (value: number) => (at = sector.writeBigUInt64LE(BigInt(value), at))
  at += sector.write(physicalId, at) // identifier (32)
  u64(bytes) // device_size (8)
  const area = (offset: number, length: number) => {
    u64(offset)
    u64(length)
  }
  area(DATA_START, 0) // data areas; length 0: to the end
  area(0, 0)
  area(METADATA, DATA_START - METADATA) // metadata areas
  area(0, 0)
  at = sector.writeUInt32LE(2, at) // version of the header's extension (4)
  at = sector.writeUInt32LE(1, at) // flags (4): belongs to a group
  area(0, 0) // boot loader areas: none
  sector.writeUInt32LE(lvmCrc(sector.subarray(20)), 16) // checksum of all that follows it (4)
  return sector
}

/** The sector at the beginning of the metadata area, for a text right behind it. */
export function metadataHeader(
  text: { bytes: number; crc: number },
  offset = METADATA_HEADER,
): Buffer {
  const sector = Buffer.alloc(METADATA_HEADER)
  sector.write(' LVM2 x[5A%r0N*>', 4) // magic (16)
  sector.writeUInt32LE(1, 20) // version (4)
  sector.writeBigUInt64LE(BigInt(METADATA), 24) // start (8)
  sector.writeBigUInt64LE(BigInt(DATA_START - METADATA), 32) // size (8)
  sector.writeBigUInt64LE(BigInt(offset), 40) // the text: offset in the area (8)
  sector.writeBigUInt64LE(BigInt(text.bytes), 48) // its length, the NUL at its end included (8)
  sector.writeUInt32LE(text.crc, 56) // its checksum (4), flags (4)
  sector.writeUInt32LE(lvmCrc(sector.subarray(4)), 0) // checksum of all that follows it (4)
  return sector
}

/**
 * What the group consists of, in the words and lines that lvm itself writes: GRUB does not parse it, but
 * looks for some of them. Sizes are in sectors or extents. `device` is where lvm looks first.
 */
export function metadataText(group: VolumeGroup, epochSeconds: number): string {
  const extents = extentsOf(group.bytes)
  return `${group.name} {
id = "${hyphenated(group.id)}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = ${EXTENT_BYTES / SECTOR}
max_lv = 0
max_pv = 0
metadata_copies = 0

physical_volumes {

pv0 {
id = "${hyphenated(group.physicalId)}"
device = "/dev/vda3"

status = ["ALLOCATABLE"]
flags = []
dev_size = ${group.bytes / SECTOR}
pe_start = ${DATA_START / SECTOR}
pe_count = ${extents}
}
}

logical_volumes {

${group.volume} {
id = "${hyphenated(group.volumeId)}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_time = ${epochSeconds}
creation_host = "${CREATION_HOST}"
segment_count = 1

segment1 {
start_extent = 0
extent_count = ${extents}

type = "striped"
stripe_count = 1

stripes = [
"pv0", 0
]
}
}
}

}
# Generated by hybrid-images

contents = "Text Format Volume Group"
version = 1

description = "Written when the image was built"

creation_host = "${CREATION_HOST}"
creation_time = ${epochSeconds}

`
}
