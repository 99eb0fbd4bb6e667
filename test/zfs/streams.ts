/** What the tests of send streams share: streams of small disks, taken apart and sealed again. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fletcher4 } from '../../lib/zfs/fletcher4.ts'
import { CHECKSUM_AT, HEADER } from '../../lib/zfs/records.ts'
import { type ZvolSource, zvolStream } from '../../lib/zfs/write.ts'
import type { Random } from '../random.ts'
import { inTemporaryDir } from '../temporary.ts'

export const BLOCK = 8192
export const basics = {
  guid: 0x1234567890abcdefn,
  createdAtSeconds: 1700000000,
  name: 'pool/vol@final',
}

/**
 * 8192 × A, 8192 zeros, then 0..255 again and again: the vector of the format's description, whose
 * stream was received by five implementations of ZFS.
 */
export const vector = Buffer.concat([
  Buffer.alloc(BLOCK, 'A'),
  Buffer.alloc(BLOCK),
  Buffer.from(Uint8Array.from({ length: BLOCK }, (_, i) => i & 255)),
])

export async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

/** A stream of a disk with this content. */
export async function streamOf(
  dir: string,
  raw: Buffer,
  more: Partial<ZvolSource> = {},
): Promise<Buffer> {
  const path = join(dir, 'disk')
  await writeFile(path, raw)
  const extents = [{ offset: 0, length: raw.length }]
  return collect(zvolStream({ ...basics, path, bytes: raw.length, extents, ...more }))
}

export const vectorStream = () => inTemporaryDir((dir) => streamOf(dir, vector))

/** A stream in pieces of random size, as a pipe would bring it. */
export async function* inPieces(stream: Buffer, random: Random): AsyncGenerator<Buffer> {
  for (let at = 0; at < stream.length;) {
    const part = 1 + random.below(random.below(4) === 0 ? 30_000 : 500)
    yield stream.subarray(at, at + part)
    at += part
  }
}

/** A stream as one piece. */
export async function* whole(stream: Buffer): AsyncGenerator<Buffer> {
  yield stream
}

/** Copies of the records of a good stream, payloads included, from the layout alone. */
export function recordsOf(stream: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < stream.length;) {
    const isWrite = stream.readUInt32LE(at) === 3
    const end = at + HEADER + (isWrite ? Number(stream.readBigUInt64LE(at + 32)) : 0)
    records.push(Buffer.from(stream.subarray(at, end)))
    at = end
  }
  return records
}

/**
 * A stream of these records with all checksums computed anew, as a sender of this content would have
 * written them; `old` leaves the records' own at zero, as senders before 2015 did.
 */
export function sealed(records: Buffer[], { old = false } = {}): Buffer {
  const sum = new Fletcher4()
  return Buffer.concat(
    records.map((record, i) => {
      const copy = Buffer.from(record)
      if (i > 0 && copy.readUInt32LE(0) === 5) sum.writeTo(copy, 8)
      if (i > 0) {
        sum.update(copy.subarray(0, CHECKSUM_AT))
        if (old) copy.fill(0, CHECKSUM_AT, HEADER)
        else sum.writeTo(copy, CHECKSUM_AT)
      }
      sum.update(copy.subarray(i > 0 ? CHECKSUM_AT : 0))
      return copy
    }),
  )
}
