/**
 * Files of FAT16 and FAT32, as an EFI system partition has them, by their names in lower case, as letters are the same
 * there: long ones, and short ones where there is no long one.
 *
 * Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03.
 */
import type { ReadBytes } from './bytes.ts'
import type { Node, Volume } from './files.ts'

const ENTRY = 32
const ATTRIBUTES = { VOLUME: 0x08, DIRECTORY: 0x10, LONG: 0x0f }
const MOST_CLUSTERS = 1 << 16
/** Of the first byte of an entry of a long name. */
const LAST = 0x40
/** Where its thirteen letters are. */
const LETTERS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]

/** A piece of a long name; a zero ends it. */
const longPiece = (entry: Buffer) =>
  String.fromCharCode(...LETTERS.map((at) => entry.readUInt16LE(at))).replace(/\0[^]*/, '')

/** Does one begin there? */
export function isFat(read: ReadBytes): boolean {
  const sector = read(0, 512)
  const kind = sector.toString('latin1', 54, 59) + sector.toString('latin1', 82, 87)
  return sector.readUInt16LE(510) === 0xaa55 && /FAT(16|32)/.test(kind)
}

export function openFat(read: ReadBytes, start: number): Volume {
  const boot = read(0, 512)
  const sector = boot.readUInt16LE(11)
  const cluster = boot[13]! * sector
  const reserved = boot.readUInt16LE(14) * sector
  const wide = boot.readUInt16LE(22) === 0 // FAT32 has its sizes elsewhere
  const fatBytes = (wide ? boot.readUInt32LE(36) : boot.readUInt16LE(22)) * sector
  const rootEntries = boot.readUInt16LE(17)
  const rootAt = reserved + boot[16]! * fatBytes
  const data = rootAt + Math.ceil((rootEntries * ENTRY) / sector) * sector
  const end = wide ? 0x0ffffff8 : 0xfff8

  /** Where the clusters of a file lie, first to last. */
  function chain(first: number): number[] {
    const places: number[] = []
    for (let n = first; n >= 2 && n < end && places.length < MOST_CLUSTERS;) {
      places.push(data + (n - 2) * cluster)
      const next = read(reserved + n * (wide ? 4 : 2), wide ? 4 : 2)
      n = wide ? next.readUInt32LE(0) & 0x0fffffff : next.readUInt16LE(0)
    }
    return places
  }
  const whole = (first: number) =>
    Buffer.concat(chain(first).map((at) => Buffer.from(read(at, cluster))))

  type File = { directory: boolean; bytes: number; first: number }
  const root = { directory: true, bytes: 0, first: wide ? boot.readUInt32LE(44) : 0 }
  const nodes: File[] = [root]
  const known = new Map<Node, ReadonlyMap<string, Node>>()

  function* namesIn(table: Buffer): Generator<[string, Node]> {
    let long = ''
    for (let at = 0; at + ENTRY <= table.length && table[at] !== 0; at += ENTRY) {
      const attributes = table[at + 11]!
      const deleted = table[at] === 0xe5
      if (!deleted && attributes === ATTRIBUTES.LONG) {
        // The last piece of a name comes first, and is marked.
        long = longPiece(table.subarray(at, at + ENTRY)) + (table[at]! & LAST ? '' : long)
        continue
      }
      const named = long
      long = ''
      if (deleted || attributes & ATTRIBUTES.VOLUME) continue
      const [base, ending] = [
        table.toString('latin1', at, at + 8),
        table.toString('latin1', at + 8, at + 11),
      ]
      const short = `${base.trimEnd()}.${ending.trimEnd()}`.replace(/\.$/, '').toLowerCase()
      if (/^\.*$/.test(short)) continue // itself, and its parent
      const name = named === '' ? short : named.toLowerCase()
      const first = table.readUInt16LE(at + 26) + (wide ? table.readUInt16LE(at + 20) * 2 ** 16 : 0)
      const directory = (attributes & ATTRIBUTES.DIRECTORY) !== 0
      yield [name, nodes.push({ directory, bytes: table.readUInt32LE(at + 28), first }) - 1]
    }
  }

  // As blkid tells it: the serial number in two halves.
  const serial = boot
    .readUInt32LE(wide ? 67 : 39)
    .toString(16)
    .padStart(8, '0')
  const label = boot.toString('latin1', wide ? 71 : 43, wide ? 82 : 54).trimEnd()
  return {
    root: 0,
    uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    label,
    stat(node) {
      const { directory, bytes } = nodes[node]!
      return { kind: directory ? 'directory' : 'file', bytes, mode: 0o755, uid: 0 }
    },
    entries(node) {
      const table = () =>
        node === 0 && !wide ? read(rootAt, rootEntries * ENTRY) : whole(nodes[node]!.first)
      const found = known.get(node) ?? new Map(namesIn(table()))
      known.set(node, found)
      return found
    },
    read(node, limit) {
      const { bytes, first } = nodes[node]!
      return whole(first).subarray(0, Math.min(bytes, limit))
    },
    extents: (node) =>
      chain(nodes[node]!.first).map((at) => ({ offset: start + at, length: cluster })),
  }
}
