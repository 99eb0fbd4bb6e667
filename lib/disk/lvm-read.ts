/**
 * The logical volumes of a physical volume that lie on it in one piece, as LVM2's own text says. Layout and
 * sources: lvm.ts.
 */
import type { FileHandle } from 'node:fs/promises'

const SECTOR = 512
const LABEL_SECTORS = 4
/** lvm makes areas of a MiB; one that says it is larger is damaged. */
const LARGEST_AREA = 64 * 1024 ** 2
/** Areas are listed as pairs of numbers; a volume has a few. */
const MOST_AREAS = 16

/**
 * Where each of them begins on the disk, largest first; undefined when no physical volume begins at `offset`.
 * Striped, mirrored, or scattered ones are left out.
 */
export async function readVolumes(file: FileHandle, offset: number): Promise<number[] | undefined> {
  const text = await readGroup(file, offset)
  return text === undefined
    ? undefined
    : volumesOf(text)
        .map((start) => offset + start)
        .filter(Number.isSafeInteger)
}

/** The text of the group that a physical volume is of; empty: it can't be read; undefined: there is none. */
export async function readGroup(file: FileHandle, offset: number): Promise<string | undefined> {
  const read = async (at: number, bytes: number) => {
    // A damaged one names places that no file has: Node 20 reads nothing there, newer ones refuse.
    if (!Number.isSafeInteger(at)) return Buffer.alloc(0)
    const buffer = Buffer.alloc(bytes)
    const { bytesRead } = await file.read(buffer, 0, bytes, at)
    return buffer.subarray(0, bytesRead)
  }
  const head = await read(offset, LABEL_SECTORS * SECTOR)
  const label = [0, 1, 2, 3]
    .map((sector) => head.subarray(sector * SECTOR, (sector + 1) * SECTOR))
    .find((sector) => sector.subarray(0, 8).equals(Buffer.from('LABELONE')))
  if (!label || label.length < SECTOR) return undefined
  const area = metadataArea(label)
  if (!area || area.bytes > LARGEST_AREA) return ''
  const header = await read(offset + area.offset, SECTOR)
  if (header.length < SECTOR) return ''
  const text = {
    offset: Number(header.readBigUInt64LE(40)),
    bytes: Number(header.readBigUInt64LE(48)),
  }
  if (text.offset < SECTOR || text.offset >= area.bytes) return ''
  if (text.bytes === 0 || text.bytes > area.bytes) return ''
  // The area is a ring behind its header.
  const first = Math.min(text.bytes, area.bytes - text.offset)
  const pieces = [
    await read(offset + area.offset + text.offset, first),
    await read(offset + area.offset + SECTOR, text.bytes - first),
  ]
  return Buffer.concat(pieces).toString('latin1')
}

/** The first metadata area that the label's header lists. */
function metadataArea(label: Buffer): { offset: number; bytes: number } | undefined {
  let at = label.readUInt32LE(20) + 32 + 8
  const areas: { offset: number; bytes: number }[][] = [[], []]
  for (const list of areas) {
    for (let n = 0; n < MOST_AREAS && at + 16 <= label.length; n++, at += 16) {
      const [offset, bytes] = [
        Number(label.readBigUInt64LE(at)),
        Number(label.readBigUInt64LE(at + 8)),
      ]
      if (offset === 0) break
      list.push({ offset, bytes })
    }
    at += 16
  }
  return areas[1]![0]
}

/** A logical volume, as the group's text has it. */
export type LogicalVolume = {
  group: string
  name: string
  /** Bytes from the physical volume's beginning; undefined: it does not lie there in one piece. */
  start: number | undefined
  extents: number
}

/** All of a group, from its text. */
export function namedVolumes(text: string): LogicalVolume[] {
  const number = (name: string, part: string) =>
    Number(new RegExp(`\\b${name} = (\\d+)`).exec(part)?.[1])
  const [physical, logical = ''] = text.split(/\blogical_volumes \{/)
  const group = /^\s*([\w+.-]+) \{/.exec(physical!)?.[1] ?? ''
  const start = number('pe_start', physical!) * SECTOR
  const extent = number('extent_size', physical!) * SECTOR
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(extent)) return []
  // A volume's own lines end where its first segment begins; only one of a single piece is of use.
  const volumes = logical.matchAll(
    /(?<![\w+.-])([\w+.-]{1,128}) \{[^{}]*segment_count = (\d+)\s+segment1 \{([^{}]*)\}/g,
  )
  return [...volumes].map(([, name, count, segment]) => {
    const first = Number(/stripes = \[\s*"[^"]+", (\d+)/.exec(segment!)?.[1])
    const extents = number('extent_count', segment!)
    const at = start + first * extent
    const whole =
      count === '1' &&
      number('stripe_count', segment!) === 1 &&
      [first, at].every(Number.isSafeInteger) &&
      extents > 0
    return { group, name: name!, start: whole ? at : undefined, extents }
  })
}

/** From the group's text: bytes from the physical volume's beginning, of the largest first. */
export function volumesOf(text: string): number[] {
  return namedVolumes(text)
    .sort((a, b) => b.extents - a.extents)
    .flatMap(({ start }) => start ?? [])
}
