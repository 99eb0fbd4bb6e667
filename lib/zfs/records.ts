/**
 * Records of a ZFS send stream: a header of 312 bytes, for some a payload.
 *
 * All numbers are little-endian; bytes not named are zero. Every record but BEGIN carries the
 * running fletcher-4 of the stream before it in its last 32 bytes (280 to 311).
 * Source: OpenZFS, include/sys/zfs_ioctl.h (dmu_replay_record); layouts as of 2012, which every
 * receiver since then takes.
 */
export const HEADER = 312
export const CHECKSUM_AT = 280
export const MAGIC = 0x2f5bacbacn
/** All-ones: a FREE to the end of the object. */
export const TO_THE_END = 0xffff_ffff_ffff_ffffn

/** Sane bound for a volume, 1 PiB: a damaged number must not make us write anywhere, or a file of that size. */
export const LARGEST_VOLUME = 2n ** 50n
/** The last second that a Date can hold. */
export const LAST_SECOND = 8_640_000_000_000n

export const RECORD_TYPES = [
  'BEGIN',
  'OBJECT',
  'FREEOBJECTS',
  'WRITE',
  'FREE',
  'END',
  'WRITE_BYREF',
  'SPILL',
  'WRITE_EMBEDDED',
  'OBJECT_RANGE',
  'REDACT',
] as const
export type RecordType = (typeof RECORD_TYPES)[number]

/** Object-set type of a volume. */
export const OBJSET_ZVOL = 3
/** A volume's two objects: number, object type, and for the properties the block size. */
export const DATA_OBJECT = { number: 1n, type: 23 } as const
export const PROPERTIES_OBJECT = { number: 2n, type: 24, blockBytes: 512 } as const

/** Feature flags of BEGIN by bit, for messages. Source: zfs_ioctl.h, DMU_BACKUP_FEATURE_*. */
export const FEATURES: Readonly<Record<number, string>> = {
  0: 'deduplicated (-D)',
  1: 'deduplicated (-D)',
  2: 'system attributes',
  16: 'embedded data (-e)',
  17: 'LZ4',
  18: 'large blocks',
  19: 'large blocks (-L)',
  20: 'resuming',
  21: 'redacted',
  22: 'compressed (-c)',
  23: 'large dnodes',
  24: 'raw (-w)',
  25: 'Zstandard',
  26: 'holding',
  27: 'switch to large blocks',
}

function header(type: RecordType): Buffer {
  const record = Buffer.alloc(HEADER)
  record.writeUInt32LE(RECORD_TYPES.indexOf(type), 0)
  return record
}

export type Begin = {
  /** `pool/volume@snapshot` */
  name: string
  guid: bigint
  createdAtSeconds: number
}

/** The name field takes 256 bytes with the closing NUL. */
export const LONGEST_NAME = 255

export function beginRecord({ name, guid, createdAtSeconds }: Begin): Buffer {
  const record = header('BEGIN')
  record.writeBigUInt64LE(MAGIC, 8)
  record.writeBigUInt64LE(1n, 16) // version info: a plain stream without features
  record.writeBigUInt64LE(BigInt(createdAtSeconds), 24)
  record.writeUInt32LE(OBJSET_ZVOL, 32)
  record.writeBigUInt64LE(guid, 40)
  record.write(name, 56, LONGEST_NAME)
  return record
}

export function objectRecord(
  object: { number: bigint; type: number },
  blockBytes: number,
  guid: bigint,
): Buffer {
  const record = header('OBJECT')
  record.writeBigUInt64LE(object.number, 8)
  record.writeUInt32LE(object.type, 16)
  record.writeUInt32LE(blockBytes, 24)
  record.writeBigUInt64LE(guid, 40)
  return record
}

export function freeRecord(object: bigint, offset: bigint, length: bigint, guid: bigint): Buffer {
  const record = header('FREE')
  record.writeBigUInt64LE(object, 8)
  record.writeBigUInt64LE(offset, 16)
  record.writeBigUInt64LE(length, 24)
  record.writeBigUInt64LE(guid, 32)
  return record
}

export function freeObjectsRecord(first: bigint, count: bigint, guid: bigint): Buffer {
  const record = header('FREEOBJECTS')
  record.writeBigUInt64LE(first, 8)
  record.writeBigUInt64LE(count, 16)
  record.writeBigUInt64LE(guid, 24)
  return record
}

/** Header of a WRITE; the payload of `length` bytes follows. */
export function writeRecord(
  object: { number: bigint; type: number },
  offset: bigint,
  length: number,
  guid: bigint,
): Buffer {
  const record = header('WRITE')
  record.writeBigUInt64LE(object.number, 8)
  record.writeUInt32LE(object.type, 16)
  record.writeBigUInt64LE(offset, 24)
  record.writeBigUInt64LE(BigInt(length), 32)
  record.writeBigUInt64LE(guid, 40)
  record.writeUInt8(2, 48) // the dedup key's checksum type: off, there is no key
  return record
}

export function endRecord(checksum: Uint8Array, guid: bigint): Buffer {
  const record = header('END')
  record.set(checksum, 8)
  record.writeBigUInt64LE(guid, 40)
  return record
}

const ZAP_MICRO = 0x8000_0000_0000_0003n
const ZAP_ENTRY_AT = 64
const ZAP_NAME = 'size'

/** Content of the property object: a micro ZAP with one entry, the size of the volume. */
export function propertiesBlock(volumeBytes: bigint, guid: bigint): Buffer {
  const block = Buffer.alloc(PROPERTIES_OBJECT.blockBytes)
  block.writeBigUInt64LE(ZAP_MICRO, 0)
  block.writeBigUInt64LE(guid | 1n, 8) // salt: any odd number
  block.writeBigUInt64LE(volumeBytes, ZAP_ENTRY_AT)
  block.write(ZAP_NAME, ZAP_ENTRY_AT + 14)
  return block
}

/** The volume's size from its property object, or undefined where there is none. */
export function volumeBytesOf(block: Buffer): bigint | undefined {
  if (block.length < 128 || block.readBigUInt64LE(0) !== ZAP_MICRO) return undefined
  for (let at = ZAP_ENTRY_AT; at + 64 <= block.length; at += 64) {
    const name = block.toString('latin1', at + 14, at + 64).replace(/\0.*/s, '')
    if (name === ZAP_NAME) return block.readBigUInt64LE(at)
  }
  return undefined
}
