/**
 * The formats an image file can have, told by its name and, on reading, by its first bytes.
 */
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { constants, gunzipSync } from 'node:zlib'
import { BuildError, errorCode, explain, UsageError } from '../cli/errors.ts'
import { checkIsFile } from '../cli/small-file.ts'
import { MAGIC } from '../zfs/records.ts'

/** `dd.gz` is the raw disk, gzipped; `tgz` a gzipped tar of a root file system, which is no disk. */
export type Format = 'zfs.gz' | 'zfs' | 'raw' | 'qcow2' | 'dd.gz' | 'tgz'

/** Endings of file names, the more specific first. */
const ENDINGS: [RegExp, Format][] = [
  [/\.(zfs|zvol)\.gz$/, 'zfs.gz'],
  [/\.(zfs|zvol)$/, 'zfs'],
  [/\.((dd|raw|img)\.gz|ddgz)$/, 'dd.gz'],
  [/\.(tar\.gz|tgz)$/, 'tgz'],
  [/\.qcow2$/, 'qcow2'],
  [/\.(raw|img)$/, 'raw'],
]

/** What a file of this name is to hold. @throws {UsageError} when the name does not tell */
export function formatOfName(path: string): Format {
  const found = ENDINGS.find(([ending]) => ending.test(path))?.[1]
  if (found) return found
  throw new UsageError(`Cannot tell the format of "${path}" from its name`, {
    hint: 'Use an ending of .zfs.gz, .zfs, .raw, .qcow2 or .dd.gz',
  })
}

/** `debian-12-20260508` of the path of such an image, in any format. */
export function nameOfImage(path: string): string {
  const name = basename(path)
  const ending = ENDINGS.find(([one]) => one.test(name))?.[0]
  return ending ? name.replace(ending, '') : name
}

/** First bytes of formats that can't be converted, for a better message than "not a stream". */
const OTHERS: [Buffer, string][] = [
  [Buffer.from('BZh'), 'bzip2 data'],
  [Buffer.from('\xfd7zXZ', 'latin1'), 'xz data'],
  [Buffer.from('\x28\xb5\x2f\xfd', 'latin1'), 'Zstandard data'],
  [Buffer.from('PK\x03\x04', 'latin1'), 'a zip archive'],
  [Buffer.from('KDMV'), 'a VMDK image'],
  [Buffer.from('conectix'), 'a VHD image'],
  [Buffer.from('vhdxfile'), 'a VHDX image'],
]

const QCOW2 = Buffer.from('QFI\xfb', 'latin1')
const GZIP = Buffer.from([0x1f, 0x8b])

/** Read to see what is gzipped: members begin with little that is not data. */
const HEAD = 1 << 14

/**
 * What a file holds, by its first bytes: a disk is what is nothing else, gzipped or not.
 *
 * @throws {BuildError} when it can't be read, or is known to be something else
 */
export async function formatOfContent(path: string): Promise<Format> {
  const head = await readHead(path)
  if (head.length === 0) throw new BuildError(`Cannot read "${path}": it is empty`)
  if (begins(head, QCOW2)) return 'qcow2'
  if (!begins(head, GZIP)) {
    if (isStream(head)) return 'zfs'
    checkIsNoOther(path, head, isTar(head) ? 'a tar archive' : undefined)
    return 'raw'
  }
  const content = gunzipHead(path, head)
  if (isStream(content)) return 'zfs.gz'
  if (isTar(content)) return 'tgz'
  checkIsNoOther(path, content, begins(content, QCOW2) ? 'a gzipped qcow2 image' : undefined)
  return 'dd.gz'
}

async function readHead(path: string): Promise<Buffer> {
  await checkIsFile(path)
  const head = Buffer.alloc(HEAD)
  try {
    const file = await open(path, 'r')
    try {
      const { bytesRead } = await file.read(head, 0, head.length, 0)
      return head.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}

/** As much as the head of a gzip file tells. */
function gunzipHead(path: string, head: Buffer): Buffer {
  const fault = (what: string, cause?: unknown) =>
    new BuildError(`Cannot decompress "${path}": ${what}`, {
      hint: 'Fetch or build it again',
      cause,
    })
  try {
    const content = gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH })
    if (content.length > 0) return content
  } catch (error) {
    if (errorCode(error) !== 'Z_BUF_ERROR') throw fault('its content is damaged', error)
  }
  throw fault(head.length < HEAD ? 'it is cut off, or holds nothing' : 'its content is damaged')
}

const begins = (bytes: Buffer, magic: Buffer) => bytes.subarray(0, magic.length).equals(magic)

/** The magic number is behind the record's type and length, in the byte order of who wrote it. */
const isStream = (bytes: Buffer) =>
  bytes.length >= 16 && (bytes.readBigUInt64LE(8) === MAGIC || bytes.readBigUInt64BE(8) === MAGIC)

/** Source: POSIX, "ustar Interchange Format": the magic is at byte 257 of the first header. */
const isTar = (bytes: Buffer) => bytes.subarray(257, 262).equals(Buffer.from('ustar'))

function checkIsNoOther(path: string, bytes: Buffer, known: string | undefined) {
  const other = known ?? OTHERS.find(([magic]) => begins(bytes, magic))?.[1]
  if (other) throw new BuildError(`Cannot use "${path}": it holds ${other}`)
}
