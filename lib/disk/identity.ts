/**
 * Identifiers derived from a seed, so that the same recipe gets the same ones.
 *
 * UUIDs are RFC 9562 version 8 (free form): 122 bits of SHA-256 over `<seed>/<what>`.
 */
import { createHash } from 'node:crypto'

function digest(seed: string, what: string): Buffer {
  return createHash('sha256').update(`${seed}/${what}`).digest()
}

export function seededUuid(seed: string, what: string): string {
  const bytes = digest(seed, what).subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** A FAT volume id: 8 hexadecimal digits. */
export function seededVolumeId(seed: string, what: string): string {
  return digest(seed, what).subarray(0, 4).toString('hex')
}

const LVM_ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** What LVM2 knows a volume or group by: 32 letters and digits. */
export function seededLvmId(seed: string, what: string): string {
  return [...digest(seed, what)].map((byte) => LVM_ALPHABET[byte % LVM_ALPHABET.length]).join('')
}

/** A non-zero 64-bit number, as ZFS uses for guids. */
export function seededGuid(seed: string, what: string): bigint {
  return digest(seed, what).readBigUInt64LE() || 1n
}
