/**
 * The partitions of a disk, read by ourselves where no sfdisk is (SmartOS) and no file may be written: GPT, or
 * those of an MBR, logical ones included. Offsets and lengths are bytes.
 *
 * Source: UEFI specification, "GUID Partition Table Header"; sfdisk(8), "NOTES", for boot records that form a chain.
 */
import { SECTOR } from './layout.ts'

export type Part = {
  offset: number
  length: number
  /** As Linux counts them. */
  number: number
  /** Of GPT a guid, of an MBR two hexadecimal digits; in lower case. */
  type: string
  /** Of GPT. */
  uuid?: string
  label?: string
}

/** A GUID is little-endian in its first three groups. */
const guidText = (bytes: Buffer) =>
  [
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8, 10),
    bytes.subarray(10, 16),
  ]
    .map((group) => group.toString('hex'))
    .join('-')

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
      .map((row, i) => ({ row, number: i + 1 }))
      .filter(({ row }) => row.length >= 48 && !row.subarray(0, 16).every((byte) => byte === 0))
      .map(({ row, number }) => {
        const [begin, last] = [Number(row.readBigUInt64LE(32)), Number(row.readBigUInt64LE(40))]
        return {
          ...{ offset: begin * SECTOR, length: (last - begin + 1) * SECTOR, number },
          type: guidText(Buffer.from(row.subarray(0, 16))),
          uuid: guidText(Buffer.from(row.subarray(16, 32))),
          label: row.toString('utf16le', 56, 128).replace(/\0[^]*/, ''),
        }
      })
  }
  if (first.readUInt16LE(510) !== 0xaa55) return undefined
  const rows = rowsOf(first)
  // The first sector of a FAT file system ends in the same way; a row's first byte is 0 or 0x80.
  if (rows.some((row) => (row[0]! & 0x7f) !== 0)) return undefined
  const primary = rows
    .map((row, i) => ({ ...placeOf(row), number: i + 1 }))
    .filter(({ type }) => type !== '00')
  const extended = primary.find(({ type }) => EXTENDED.has(type))
  return [
    ...primary.filter((one) => one !== extended),
    ...(extended ? logicalParts(read, extended.offset) : []),
  ]
}

/** The four rows of a boot record. */
const rowsOf = (sector: Buffer) => [446, 462, 478, 494].map((at) => sector.subarray(at, at + 16))

/** @param from what the row counts from, in bytes */
const placeOf = (row: Buffer, from = 0) => ({
  offset: from + row.readUInt32LE(8) * SECTOR,
  length: row.readUInt32LE(12) * SECTOR,
  type: row.toString('hex', 4, 5),
})

/** Types of what only holds others. */
const EXTENDED = new Set(['05', '0f', '85'])
const FIRST_LOGICAL = 5

/** A chain of boot records: the first row of each is a partition, the second leads to the next record. */
function logicalParts(read: (offset: number, length: number) => Buffer, base: number): Part[] {
  const found: Part[] = []
  let at = base
  while (found.length < MOST_ROWS && Number.isSafeInteger(at)) {
    const record = Buffer.from(read(at, SECTOR))
    if (record.length < SECTOR || record.readUInt16LE(510) !== 0xaa55) break
    const [own, next] = rowsOf(record)
    const part = placeOf(own!, at)
    if (part.type !== '00') found.push({ ...part, number: FIRST_LOGICAL + found.length })
    const following = placeOf(next!, base)
    if (!EXTENDED.has(following.type) || following.offset <= at) break
    at = following.offset
  }
  return found
}
