/** Conversions between the formats of an image, each through our own reader and writer. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { stopSignal } from '../cli/session.ts'
import { allocatedExtents } from '../disk/extents.ts'
import { seededGuid } from '../disk/identity.ts'
import { restoreStream } from '../zfs/restore.ts'
import { type ZvolSource, zvolStream } from '../zfs/write.ts'
import { type Format, formatOfContent, formatOfName } from './formats.ts'
import { gunzip, gzip } from './gzip.ts'
import { writeImageFile } from './image-file.ts'
import { writeZvolImage } from './zvol-image.ts'

/** The bytes of a send stream, packed or not. */
export function openStream(path: string, format: 'zfs' | 'zfs.gz'): AsyncIterable<Buffer> {
  return format === 'zfs.gz' ? gunzip(path) : plainFile(path)
}

async function* plainFile(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 18 })) {
      yield piece as Buffer
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}

/** What the stream of a raw disk says; it all comes from the file, so the same file gives the same. */
async function diskOf(
  path: string,
  volblocksize: number,
): Promise<Omit<ZvolSource, 'extents' | 'onProgress'>> {
  const { size, mtimeMs } = await stat(path)
  const name = basename(path).replaceAll(/[^\w.-]/g, '_')
  return {
    path,
    bytes: size,
    guid: seededGuid(`${name}/${size}/${mtimeMs}`, 'snapshot'),
    createdAtSeconds: Math.floor(mtimeMs / 1000),
    name: `zones/${name}@final`,
    volblocksize,
  }
}

export type Converted = { path: string; from: Format; to: Format; bytes: number }

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
  const signal = stopSignal()
  const done = (bytes: number) => ({ path: output, from, to, bytes })
  if (to === 'raw' && from !== 'raw') {
    const { volumeBytes } = await restoreStream(openStream(input, from), output, { signal })
    return done(volumeBytes)
  }
  if (from === 'raw') {
    const disk = await diskOf(input, volblocksize)
    const extents = await allocatedExtents(input)
    const stream = (onProgress: (fraction: number) => void) =>
      zvolStream({ ...disk, extents, onProgress })
    if (to === 'zfs') return done((await writeImageFile(stream(report), output, { signal })).bytes)
    const says = `the send stream of ${input}`
    return done((await writeZvolImage({ says, stream }, output, report)).bytes)
  }
  const stream = openStream(input, from)
  const pieces = to === 'zfs.gz' ? gzip(stream, { signal }) : stream
  return done((await writeImageFile(pieces, output, { signal })).bytes)
}
