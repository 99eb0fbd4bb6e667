/**
 * What an image file says beside the disk that it holds: the header of gzip, the fields of a send stream and of
 * qcow2.
 *
 * Source: RFC 1952, section 2.3; lib/zfs/records.ts; qemu-img info.
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { explain } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import type { StreamSummary } from '../zfs/restore.ts'
import type { Format } from '../image/formats.ts'
import { compareFacts, type Fact, type Part, partOf } from './difference.ts'

/** What is known of an image file. */
export type Container = { path: string; format: Format; stream?: StreamSummary }

/** Facts that are times, or follow from them. */
const TIMES = ['time', 'created', 'checksum']

/** What both have of this; nothing where the formats differ. @throws {BuildError} when one can't be read */
export async function compareContainers(
  a: Container,
  b: Container,
  { ignoreTimes }: { ignoreTimes: boolean },
): Promise<Part[]> {
  const part = (name: string, one: readonly Fact[], other: readonly Fact[]) => {
    const found = compareFacts(one, other)
    const counted = ignoreTimes ? found.filter(({ what }) => !TIMES.includes(what)) : found
    return partOf(name, counted, 'the same fields')
  }
  const { format } = a
  if (format !== b.format) return []
  const parts: Part[] = []
  if (format.endsWith('gz')) {
    const [one, other] = [await headOf(a.path), await headOf(b.path)]
    parts.push(part('gzip header', gzipFacts(one), gzipFacts(other)))
  }
  if (a.stream && b.stream) {
    parts.push(part('send stream', streamFacts(a.stream), streamFacts(b.stream)))
  }
  if (format === 'qcow2')
    parts.push(part('qcow2', await qcow2Facts(a.path), await qcow2Facts(b.path)))
  return parts
}

/** Flags of gzip's header; a name and a comment end with a zero. */
const [EXTRA, NAME, COMMENT] = [4, 8, 16]
/** As much of the file as a header with a name takes. */
const HEAD = 4096

/** The header of a gzip file's first member; nothing of the further ones is said. */
export function gzipFacts(head: Buffer): Fact[] {
  if (head.length < 10) return []
  const flags = head.readUInt8(3)
  const seconds = head.readUInt32LE(4)
  let at = 10
  if (flags & EXTRA) at += 2 + (head.length >= 12 ? head.readUInt16LE(10) : 0)
  const text = () => {
    const end = head.indexOf(0, at)
    const found = head.toString('latin1', at, end < 0 ? head.length : end)
    at = end + 1
    return found
  }
  return [
    ['time', seconds === 0 ? 'none' : new Date(seconds * 1000).toISOString()],
    ['flags', `0x${flags.toString(16)}`],
    ['extra flags', `0x${head.readUInt8(8).toString(16)}`],
    ['system', String(head.readUInt8(9))],
    ['file name', flags & NAME ? text() : 'none'],
    ['comment', flags & COMMENT ? text() : 'none'],
  ]
}

/** The first bytes of a file. @throws {BuildError} when it can't be read */
export async function headOf(path: string): Promise<Buffer> {
  const head = Buffer.alloc(HEAD)
  try {
    const file = await open(path, 'r')
    try {
      const { bytesRead } = await file.read(head, 0, HEAD, 0)
      return head.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}

/** Most telling first; the checksum is of all before the stream's end, header included. */
export function streamFacts(stream: StreamSummary): Fact[] {
  return [
    ['guid', String(stream.guid)],
    ['name', stream.name],
    ['created', new Date(stream.createdAtSeconds * 1000).toISOString()],
    ['volume size', `${stream.volumeBytes} bytes`],
    ['block size', `${stream.volblocksize} bytes`],
    ['data', `${stream.dataBytes} bytes`],
    ['checksum', stream.checksum],
  ]
}

/** @throws {BuildError} in qemu-img's words */
export async function qcow2Facts(path: string): Promise<Fact[]> {
  const { stdout } = await $`qemu-img info --output=json -f qcow2 ${resolve(path)}`
  const info = JSON.parse(stdout) as Record<string, unknown>
  const details = info['format-specific'] as { data?: Record<string, unknown> } | undefined
  return [
    ['disk size', `${String(info['virtual-size'])} bytes`],
    ['cluster size', `${String(info['cluster-size'])} bytes`],
    ['backing file', String(info['backing-filename'] ?? 'none')],
    ...Object.entries(details?.data ?? {}).map(([key, value]): Fact => [key, String(value)]),
  ]
}
