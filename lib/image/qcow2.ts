/**
 * QCOW2, by qemu-img. It writes here and there in the file, so that digests are a second pass over what
 * came out, which is small.
 */
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Report } from '../cli/progress.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { digestFile, type ImageFile } from './image-file.ts'

/** How a file's clusters are packed; all readers of the format know zlib. */
export type Compression = 'zlib' | 'zstd' | 'none'

export function compressionOf(text: string | undefined): Compression {
  return text === 'zstd' || text === 'none' ? text : 'zlib'
}

/** `(12.34/100%)`, drawn again and again, to a fraction. */
export function parseProgress(line: string): number | undefined {
  const [, percent] = /^\s*\((\d+\.\d+)\/100%\)/.exec(line) ?? []
  return percent === undefined ? undefined : Number(percent) / 100
}

/**
 * qemu-img's words. The formats are named, as it would guess that of a raw disk from what a guest wrote
 * there; paths are absolute, as what stands before a colon would be a protocol.
 */
export function convertWords(
  from: { path: string; format: 'raw' | 'qcow2' },
  to: { path: string; format: 'raw' | 'qcow2' },
  compression: Compression = 'zlib',
): string[] {
  const packed = {
    zlib: ['-c'],
    zstd: ['-c', '-o', 'compression_type=zstd'],
    none: [],
  }
  return [
    ...['qemu-img', 'convert', '-p'],
    ...['-f', from.format],
    ...['-O', to.format],
    ...(to.format === 'qcow2' ? packed[compression] : ['-S', '4k']), // sparse
    resolve(from.path),
    resolve(to.path),
  ]
}

/** @throws {BuildError} in qemu-img's words; nothing is left then */
async function convert(
  from: { path: string; format: 'raw' | 'qcow2' },
  to: { path: string; format: 'raw' | 'qcow2' },
  report: Report,
  compression?: Compression,
): Promise<void> {
  const partial = `${to.path}.partial`
  try {
    await $({
      onLine: (line) => {
        const fraction = parseProgress(line)
        if (fraction !== undefined) report(fraction)
      },
    })`${convertWords(from, { ...to, path: partial }, compression)}`
    if (session.dryRun) return
    const file = await open(partial, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, to.path)
  } catch (error) {
    await rm(partial, { force: true })
    throw explain(`write "${to.path}"`, error)
  }
}

/** Write a compressed image of a raw disk. The same disk gives the same bytes. */
export async function writeQcow2(
  raw: string,
  path: string,
  report: Report,
  compression?: Compression,
): Promise<ImageFile> {
  await convert({ path: raw, format: 'raw' }, { path, format: 'qcow2' }, report, compression)
  if (session.dryRun) return { path, bytes: 0, sha1: '', sha256: '' }
  return digestFile(path)
}

/**
 * Restore the raw disk of an image, of any version and compression that qemu-img knows.
 *
 * @throws {BuildError} when it is damaged or cut off, which qemu-img itself would read as zeros
 */
export async function readQcow2(path: string, raw: string, report: Report): Promise<void> {
  const absolute = resolve(path)
  const { stdout } = await $`qemu-img info --output=json -f qcow2 ${absolute}`
  const info = JSON.parse(stdout) as { 'full-backing-filename'?: string }
  const below = info['full-backing-filename']
  if (below !== undefined) log.info(`${path} is an overlay: what it does not hold is in ${below}`)
  const check = await $({ nothrow: true })`qemu-img check --output=json -f qcow2 ${absolute}`
  const corruptions = /"corruptions": (\d+)/.exec(check.stdout)?.[1]
  if (corruptions !== undefined && corruptions !== '0') {
    throw new BuildError(
      `Cannot read "${path}": it is damaged or cut off, qemu-img check finds ${corruptions} corruptions`,
      { hint: 'Fetch or build it again' },
    )
  }
  await convert({ path, format: 'qcow2' }, { path: raw, format: 'raw' }, report)
}
