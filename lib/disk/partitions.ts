/**
 * The partitions of a disk, read by ourselves where no sfdisk is (SmartOS) and no file may be written: GPT, or
 * the four of an MBR. Offsets and lengths are bytes.
 *
 * Source: UEFI specification, "GUID Partition Table Header"; logical partitions of an MBR are left out.
 */
import { SECTOR } from './layout.ts'

export type Part = { offset: number; length: number }

/** A table has 128 rows; one that says it has more than this is damaged. */
const MOST_ROWS = 1024

/** In the order of the table; undefined where there is none. @param read bytes from an offset */
export function readPartitions(
  read: (offset: number, length: number) => Buffer,
): Part[] | undefined {
  const first = Buffer.from(read(0, SECTOR))
  const header = Buffer.from(read(SECTOR, SECTOR))
  if (header.toString('latin1', 0, 8) === 'EFI PART') {
    const table = Number(header.readBigUInt64LE(72)) * SECTOR
    const rows = Math.min(header.readUInt32LE(80), MOST_ROWS)
    const rowBytes = Math.min(header.readUInt32LE(84), SECTOR)
    return Array.from({ length: rows }, (_, i) => Buffer.from(read(table + i * rowBytes, rowBytes)))
      .filter((row) => row.length >= 48 && !row.subarray(0, 16).every((byte) => byte === 0))
      .map((row) => {
        const [begin, last] = [Number(row.readBigUInt64LE(32)), Number(row.readBigUInt64LE(40))]
        return { offset: begin * SECTOR, length: (last - begin + 1) * SECTOR }
      })
  }
  if (first.readUInt16LE(510) !== 0xaa55) return undefined
  const rows = [446, 462, 478, 494].map((at) => first.subarray(at, at + 16))
  // The first sector of a FAT file system ends in the same way; a row's first byte is 0 or 0x80.
  if (rows.some((row) => (row[0]! & 0x7f) !== 0)) return undefined
  return rows
    .filter((row) => row[4] !== 0)
    .map((row) => ({
      offset: row.readUInt32LE(8) * SECTOR,
      length: row.readUInt32LE(12) * SECTOR,
    }))
}
