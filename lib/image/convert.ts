/**
 * Conversions between the formats of an image, streamed through our own readers and writers, and by
 * qemu-img where qcow2 is one of them. What needs the disk as a whole gets it as a sparse file for the
 * time being.
 */
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import { type Blocks, piecesAsBlocks, writeSparse } from '../disk/blocks.ts'
import { allocatedExtents } from '../disk/extents.ts'
import { seededGuid } from '../disk/identity.ts'
import { streamBlocks } from '../zfs/restore.ts'
import { type ZvolSource, zvolStream } from '../zfs/write.ts'
import { writeDdImage, writeDdImageOf } from './dd-image.ts'
import { writeDiskTar } from './disk-tar.ts'
import { type Format, formatOfContent, formatOfName } from './formats.ts'
import { gunzip, gzip } from './gzip.ts'
import { type ImageFile, writeImageFile } from './image-file.ts'
import { plainFile } from './plain-file.ts'
import { readQcow2, writeQcow2 } from './qcow2.ts'
import { writeZvolImage } from './zvol-image.ts'

/** The bytes of a send stream, packed or not; `report` hears how much of the file was read. */
export function openStream(
  path: string,
  format: 'zfs' | 'zfs.gz',
  report?: Report,
): AsyncIterable<Buffer> {
  return format === 'zfs.gz' ? unpacked(path, report) : plainFile(path, report)
}

/** What is gzipped. @throws {BuildError} when it is damaged, cut off, or can't be read */
export async function* unpacked(path: string, report?: Report): AsyncGenerator<Buffer> {
  let size = 0
  try {
    size = (await stat(path)).size
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  yield* gunzip(path, (bytes) => report?.(bytes / size))
}

/** What the stream of a raw disk says; it all comes from the file, so the same file gives the same. */
async function diskOf(
  named: string,
  raw: string,
  volblocksize: number,
): Promise<Omit<ZvolSource, 'extents' | 'onProgress'>> {
  const { size } = await stat(raw)
  const { mtimeMs } = await stat(named)
  const name = basename(named).replaceAll(/[^\w.-]/g, '_')
  return {
    path: raw,
    bytes: size,
    guid: seededGuid(`${name}/${size}/${mtimeMs}`, 'snapshot'),
    createdAtSeconds: Math.floor(mtimeMs / 1000),
    name: `zones/${name}@final`,
    volblocksize,
  }
}

export type Converted = {
  path: string
  from: Format
  to: Format
  bytes: number
  /** Of the file; a raw disk, which is mostly holes, has none. */
  sha1?: string
  sha256?: string
}

/**
 * Convert an image to the format that the new name asks for. The new file appears when it is whole.
 *
 * @throws {BuildError} when the input is damaged or something else, or the output can't be written
 */
export async function convertImage(
  input: string,
  output: string,
  volblocksize: number,
  report: Report,
): Promise<Converted> {
  const to = formatOfName(output)
  const from = await formatOfContent(input)
  if (from === to) {
    throw new BuildError(`Cannot convert "${input}": it is ${to} already`, {
      hint: 'Name an output of another format, or copy the file',
    })
  }
  if (from === 'tgz') {
    throw new BuildError(`Cannot convert "${input}": it holds files, and no disk to boot from`, {
      hint: 'Build the disk beside it: ./bin/create-image-debian 12 --target maas --format ddgz',
    })
  }
  const written = await write({ input, from, output, to }, volblocksize, report)
  return { ...written, path: output, from, to }
}

type Wanted = { input: string; from: Exclude<Format, 'tgz'>; output: string; to: Format }
type Written = { bytes: number } & Partial<ImageFile>

async function write(wanted: Wanted, volblocksize: number, report: Report): Promise<Written> {
  const { input, from, output, to } = wanted
  const signal = stopSignal()
  const isStream = from === 'zfs' || from === 'zfs.gz'
  if (isStream && (to === 'zfs' || to === 'zfs.gz')) {
    const stream = openStream(input, from, report)
    return writeImageFile(to === 'zfs.gz' ? gzip(stream, { signal }) : stream, output, { signal })
  }
  if (to === 'raw') return { bytes: await writeRaw(input, from, output, report) }
  if (to === 'dd.gz' && isStream) return writeDdImage(blocksOf(input, from, report), output)
  const scope = new Scope()
  try {
    const raw = from === 'raw' ? input : join(await scope.tempDir('convert-image'), 'disk.raw')
    if (from !== 'raw') await writeRaw(input, from, raw, report)
    if (to === 'tgz') return await writeDiskTar(raw, output, scope, report)
    return await writeFromRaw(wanted, raw, volblocksize, report)
  } finally {
    await scope.close(false)
  }
}

/** The blocks of what is no disk by itself, in order. */
function blocksOf(input: string, from: 'zfs' | 'zfs.gz' | 'dd.gz', report: Report): Blocks {
  if (from === 'dd.gz') return piecesAsBlocks(unpacked(input, report))
  return streamBlocks(openStream(input, from, report))
}

/** The raw disk of any other format, sparse. Returns its bytes. @throws {BuildError} as convertImage */
export async function writeRaw(
  input: string,
  from: Wanted['from'],
  raw: string,
  report: Report,
): Promise<number> {
  if (from !== 'qcow2' && from !== 'raw') {
    return writeSparse(blocksOf(input, from, report), raw, { signal: stopSignal() })
  }
  await readQcow2(input, raw, report)
  return (await stat(raw)).size
}

/** From the raw disk to what is made of it. */
async function writeFromRaw(
  { input, output, to }: Wanted,
  raw: string,
  volblocksize: number,
  report: Report,
): Promise<Written> {
  if (to === 'qcow2') return writeQcow2(raw, output, report)
  if (to === 'dd.gz') return writeDdImageOf(raw, output, report)
  const disk = await diskOf(input, raw, volblocksize)
  const extents = await allocatedExtents(raw)
  const stream = (onProgress: (fraction: number) => void) =>
    zvolStream({ ...disk, extents, onProgress })
  if (to === 'zfs') return writeImageFile(stream(report), output, { signal: stopSignal() })
  return writeZvolImage({ says: `the send stream of ${input}`, stream }, output, report)
}
