/**
 * The formats an image file can have, told by its name and, on reading, by its first bytes.
 */
import { open } from 'node:fs/promises'
import { BuildError, explain, UsageError } from '../cli/errors.ts'
import { MAGIC } from '../zfs/records.ts'

export type Format = 'zfs.gz' | 'zfs' | 'raw'

/** Endings of file names, the more specific first. */
const ENDINGS: [RegExp, Format][] = [
  [/\.(zfs|zvol)\.gz$/, 'zfs.gz'],
  [/\.(zfs|zvol)$/, 'zfs'],
  [/\.(raw|img)$/, 'raw'],
]

/** What a file of this name is to hold. @throws {UsageError} when the name does not tell */
export function formatOfName(path: string): Format {
  const found = ENDINGS.find(([ending]) => ending.test(path))?.[1]
  if (found) return found
  throw new UsageError(`Cannot tell the format of "${path}" from its name`, {
    hint: 'Use an ending of .zfs.gz, .zfs or .raw',
  })
}

/** First bytes of formats that can't be converted, for a better message than "not a stream". */
const OTHERS: [Buffer, string][] = [
  [Buffer.from('QFI\xfb', 'latin1'), 'a qcow2 image'],
  [Buffer.from('BZh'), 'bzip2 data'],
  [Buffer.from('\xfd7zXZ', 'latin1'), 'xz data'],
  [Buffer.from('\x28\xb5\x2f\xfd', 'latin1'), 'Zstandard data'],
  [Buffer.from('PK\x03\x04', 'latin1'), 'a zip archive'],
]

/**
 * What a file holds, by its first bytes: a disk is what is nothing else.
 *
 * @throws {BuildError} when it can't be read, or is known to be something else
 */
export async function formatOfContent(path: string): Promise<Format> {
  const head = Buffer.alloc(16)
  let length: number
  try {
    const file = await open(path, 'r')
    try {
      length = (await file.read(head, 0, head.length, 0)).bytesRead
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  if (length === 0) throw new BuildError(`Cannot read "${path}": it is empty`)
  if (head.readUInt16BE(0) === 0x1f8b) return 'zfs.gz'
  if (head.readBigUInt64LE(8) === MAGIC || head.readBigUInt64BE(8) === MAGIC) return 'zfs'
  const other = OTHERS.find(([magic]) => head.subarray(0, magic.length).equals(magic))
  if (other) throw new BuildError(`Cannot use "${path}": it holds ${other[1]}`)
  return 'raw'
}
