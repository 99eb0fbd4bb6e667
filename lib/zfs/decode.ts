/**
 * Record headers of a send stream as values, each field within bounds. The other direction, and the
 * source of the format, are in records.ts; what follows what is checked in volume.ts.
 */
import { BuildError } from '../cli/errors.ts'
import {
  FEATURES,
  HEADER,
  LARGEST_VOLUME,
  LAST_SECOND,
  MAGIC,
  OBJSET_ZVOL,
  RECORD_TYPES,
} from './records.ts'

export type StreamRecord =
  | { type: 'BEGIN'; name: string; guid: bigint; createdAtSeconds: number }
  | { type: 'OBJECT'; object: bigint; objectType: number; blockBytes: number }
  | { type: 'FREEOBJECTS'; first: bigint; count: bigint }
  /** `bytes` is the length of `data`, which decodeRecord leaves empty. */
  | { type: 'WRITE'; object: bigint; offset: number; bytes: number; data: Buffer }
  | { type: 'FREE'; object: bigint; offset: bigint; length: bigint }
  | { type: 'END'; checksum: string }

/** A record that no stream of a volume has; the message completes "record 5, at byte 990, is". */
export class Misfit extends Error {}

/** The largest block of a stream without the large-blocks feature. */
const LARGEST_BLOCK = 131072n
const NOTHING = Buffer.alloc(0)

/** Names of the feature flags that are set in BEGIN's version word (bits 2 to 57). */
function featureNames(versionInfo: bigint): string[] {
  const bits = versionInfo >> 2n
  const set = Array.from({ length: 56 }, (_, bit) => bit).filter(
    (bit) => (bits >> BigInt(bit)) & 1n,
  )
  return [...new Set(set.map((bit) => FEATURES[bit] ?? `unknown flag ${bit}`))]
}

/**
 * BEGIN, of a plain and full stream of a volume without feature flags.
 *
 * @throws {BuildError} for any other, with what to send instead
 */
export function decodeBegin(header: Buffer): StreamRecord & { type: 'BEGIN' } {
  const refuse = (message: string, hint?: string) =>
    new BuildError(`Cannot read stream: ${message}`, { hint })
  if (header.readUInt32LE(0) !== 0 || header.readBigUInt64LE(8) !== MAGIC) {
    const swapped = header.readBigUInt64BE(8) === MAGIC
    throw swapped
      ? refuse('it was sent by a big-endian machine', 'Receive it with ZFS, and send it from here')
      : refuse('it does not begin as a ZFS send stream')
  }
  const info = header.readBigUInt64LE(16)
  const again = 'Send one snapshot, without -R, -I and -p'
  if ((info & 3n) !== 1n) throw refuse('it holds several snapshots or properties', again)
  const features = featureNames(info)
  if (features.length > 0) {
    throw refuse(
      `it uses ${features.join(', ')}`,
      'Send it again without -c, -D, -e, -L and -w: older receivers refuse it as well',
    )
  }
  if (header.readUInt32LE(4) !== 0) throw refuse('it holds properties', again)
  if (header.readUInt32LE(32) !== OBJSET_ZVOL) throw refuse('it holds a file system, not a volume')
  if (header.readBigUInt64LE(48) !== 0n) throw refuse('it is incremental', 'Send it without -i')
  const created = header.readBigUInt64LE(24)
  if (created > LAST_SECOND) throw refuse(`its snapshot was made in second ${created}`)
  return {
    type: 'BEGIN',
    name: header.toString('utf8', 56, HEADER).replace(/\0.*/s, ''),
    guid: header.readBigUInt64LE(40),
    createdAtSeconds: Number(created),
  }
}

/**
 * Any record after BEGIN; the payload of a WRITE is not yet known.
 *
 * @throws {Misfit} for a type or length that is none of a volume's
 */
export function decodeRecord(header: Buffer): StreamRecord {
  const number = header.readUInt32LE(0)
  const type = RECORD_TYPES[number]
  switch (type) {
    case 'OBJECT':
      if (header.readUInt32LE(28) !== 0) throw new Misfit('an object with a bonus buffer')
      return {
        type,
        object: header.readBigUInt64LE(8),
        objectType: header.readUInt32LE(16),
        blockBytes: header.readUInt32LE(24),
      }
    case 'FREEOBJECTS':
      return { type, first: header.readBigUInt64LE(8), count: header.readBigUInt64LE(16) }
    case 'FREE':
      return {
        type,
        object: header.readBigUInt64LE(8),
        offset: header.readBigUInt64LE(16),
        length: header.readBigUInt64LE(24),
      }
    case 'WRITE':
      return decodeWrite(header)
    case 'END':
      return { type, checksum: checksumText(header.subarray(8, 40)) }
    default:
      throw new Misfit(type ? `of type ${type}` : `of the unknown type ${number}`)
  }
}

function decodeWrite(header: Buffer): StreamRecord & { type: 'WRITE' } {
  const offset = header.readBigUInt64LE(24)
  const bytes = header.readBigUInt64LE(32)
  if (header.readUInt8(50) !== 0) throw new Misfit('a compressed block')
  if (bytes === 0n || bytes > LARGEST_BLOCK) throw new Misfit(`a block of ${bytes} bytes`)
  if (offset + bytes > LARGEST_VOLUME) {
    throw new Misfit(`a block that ends at byte ${offset + bytes}`)
  }
  return {
    type: 'WRITE',
    object: header.readBigUInt64LE(8),
    offset: Number(offset),
    bytes: Number(bytes),
    data: NOTHING,
  }
}

/** A checksum as zstreamdump prints it: four hexadecimal numbers. */
export function checksumText(state: Buffer): string {
  return [0, 8, 16, 24].map((at) => state.readBigUInt64LE(at).toString(16)).join('/')
}
