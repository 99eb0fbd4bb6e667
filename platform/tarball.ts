/**
 * A platform as it is published: a gzipped tarball with the kernel and the boot archive, below one
 * directory of any name; or such a tarball in the zip file that Jenkins makes of a build's artifacts.
 * Source: smartos-live's tools/build_live.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rename } from 'node:fs/promises'
import { basename, join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BuildError, explain } from '../lib/cli/errors.ts'
import { oneLine } from '../lib/cli/one-line.ts'
import { stopSignal } from '../lib/cli/session.ts'

/** Paths below the tarball's one directory. */
const WANTED = {
  unix: 'i86pc/kernel/amd64/unix',
  archive: 'i86pc/amd64/boot_archive',
  hash: 'i86pc/amd64/boot_archive.hash',
  stamp: 'etc/version/platform',
} as const
type Part = keyof typeof WANTED

export type PlatformFiles = {
  /** The one directory of the tarball. */
  directory: string
  unix: string
  /** The root file system, not compressed. */
  archive: string
  archiveBytes: number
  /** What etc/version/platform says, which old platforms do not have. */
  stamp: string | undefined
}

/** A file of zeros where it has zeros: boot archives are half empty. */
const HOLE = 64 * 1024

/** Write a stream; blocks of zeros become holes. @returns size and SHA-1 */
async function writeSparse(
  stream: AsyncIterable<Uint8Array>,
  path: string,
): Promise<{ bytes: number; sha1: string }> {
  const digest = createHash('sha1')
  const file = await open(path, 'wx')
  let bytes = 0
  let rest = Buffer.alloc(0)
  const zeros = Buffer.alloc(HOLE)
  const flush = async (data: Buffer) => {
    if (!zeros.subarray(0, data.length).equals(data)) await file.write(data, 0, data.length, bytes)
    bytes += data.length
  }
  try {
    for await (const piece of stream) {
      digest.update(piece)
      rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
      let at = 0
      for (; at + HOLE <= rest.length; at += HOLE) await flush(rest.subarray(at, at + HOLE))
      rest = rest.subarray(at)
    }
    await flush(rest)
    await file.truncate(bytes)
  } finally {
    await file.close()
  }
  return { bytes, sha1: digest.digest('hex') }
}

/** The path below the top directory, and that directory. @throws {BuildError} for a path that leads out */
function splitName(name: string, shown: string): { top: string; below: string } {
  const path = posix.normalize(name.replace(/^(\.\/)+/, ''))
  if (path.startsWith('/') || path === '..' || path.startsWith('../') || name.includes('\0')) {
    throw new BuildError(`Cannot use "${shown}": it has the path "${name}", which leads out of it`)
  }
  const [top, ...below] = path.split('/')
  return { top: top!, below: below.join('/').replace(/\/$/, '') }
}

/**
 * Take what is needed out of a platform's tarball; `root.password`, which opens every machine that boots
 * this platform, is not.
 *
 * @param shown its name, for messages
 * @param into an empty directory
 * @param onBytes hears how many bytes have been read since it was last called
 * @throws {BuildError} when it is no tarball, is cut, or holds no platform
 */
export async function extractPlatform(
  tarball: Readable,
  shown: string,
  into: string,
  onBytes: (count: number) => void = () => {},
): Promise<PlatformFiles> {
  const found = new Map<Part, { path: string; bytes: number; sha1: string }>()
  let directory: string | undefined
  const { extract } = await import('tar-stream') // not for every command
  const reading = extract()
  // A listener to "data" would have the stream begin before the pipeline is there.
  const counted = async function* (pieces: AsyncIterable<Buffer>) {
    for await (const piece of pieces) {
      onBytes(piece.length)
      yield piece
    }
  }
  const taking = (async () => {
    for await (const entry of reading) {
      const { name, type } = entry.header
      const { top, below } = splitName(name, shown)
      if (top !== '.') {
        directory ??= top
        if (top !== directory) {
          throw new BuildError(
            `Cannot use "${shown}": it has ${directory}/ and ${top}/, a platform has one directory`,
          )
        }
      }
      const part = (Object.keys(WANTED) as Part[]).find((one) => WANTED[one] === below)
      if (part === undefined || type !== 'file') {
        entry.resume()
        continue
      }
      if (found.has(part)) {
        throw new BuildError(`Cannot use "${shown}": it has ${WANTED[part]} twice`)
      }
      const path = join(into, part)
      found.set(part, { path, ...(await writeSparse(entry as AsyncIterable<Uint8Array>, path)) })
    }
  })()
  try {
    await Promise.all([
      pipeline(tarball, counted, createGunzip(), reading, { signal: stopSignal() }),
      taking,
    ])
  } catch (error) {
    taking.catch(() => {})
    throw damaged(error, shown)
  }
  const of = (part: Part) => {
    const one = found.get(part)
    if (one) return one
    throw new BuildError(
      `Cannot use "${shown}": it is no SmartOS platform: it has no ${WANTED[part]}`,
      {
        hint: directory ? `Its directory is ${directory}/` : 'It is empty',
      },
    )
  }
  const archive = await plainArchive(of('archive'), into).catch((error: unknown) => {
    throw damaged(error, `${shown}: ${WANTED.archive}`)
  })
  const hash = found.get('hash')
  if (hash) {
    const said = (await readFile(hash.path, 'utf8')).trim()
    if (said !== archive.sha1) {
      throw new BuildError(
        `Cannot use "${shown}": its boot archive has SHA-1 ${archive.sha1}, boot_archive.hash says ${said}`,
        { hint: 'It is damaged, or somebody changed it: fetch it again' },
      )
    }
  }
  const stamp = found.get('stamp')
  return {
    directory: directory!,
    unix: of('unix').path,
    archive: archive.path,
    archiveBytes: archive.bytes,
    stamp: stamp && (await readFile(stamp.path, 'utf8')).trim(),
  }
}

type Written = { path: string; bytes: number; sha1: string }

/** Some distributions of illumos gzip the archive; the digest is that of what is inside. */
async function plainArchive(archive: Written, into: string): Promise<Written> {
  const file = await open(archive.path)
  const magic = Buffer.alloc(2)
  await file.read(magic, 0, 2, 0).finally(() => file.close())
  if (magic.readUInt16BE(0) !== 0x1f8b) return archive
  const path = join(into, 'archive.plain')
  const unpacked = createGunzip()
  // By pipeline: an error of either stream ends the other.
  const [plain] = await Promise.all([
    writeSparse(unpacked, path),
    pipeline(createReadStream(archive.path), unpacked, { signal: stopSignal() }),
  ])
  await rename(path, archive.path)
  return { ...plain, path: archive.path }
}

function damaged(error: unknown, shown: string): unknown {
  if (error instanceof BuildError) return error
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'Z_DATA_ERROR' || /Invalid tar header/.test(message ?? '')) {
    return new BuildError(`Cannot use "${shown}": it is no gzipped tarball (${message})`, {
      hint: 'It may be the page of an error: look at its beginning, or fetch it again',
    })
  }
  if (code === 'Z_BUF_ERROR' || /Unexpected end/.test(message ?? '')) {
    return new BuildError(`Cannot use "${shown}": it is cut off`, { hint: 'Fetch it again' })
  }
  return explain(`read "${shown}"`, error)
}

const PLATFORM = /(^|\/)platform-[^/]*\.tgz$/

/** The file's own bytes, or the platform's within a zip file. */
export async function openTarball(
  path: string,
): Promise<{ stream: Readable; shown: string; bytes: number; close: () => Promise<void> }> {
  const file = await open(path).catch((error: unknown) => {
    throw explain(`read "${path}"`, error)
  })
  const magic = Buffer.alloc(4)
  await file.read(magic, 0, 4, 0)
  const { size } = await file.stat()
  await file.close()
  if (magic.toString('latin1') !== 'PK\x03\x04') {
    return { stream: createReadStream(path), shown: path, bytes: size, close: async () => {} }
  }
  const { default: StreamZip } = await import('node-stream-zip')
  const zip = new StreamZip.async({ file: path })
  try {
    const entries = Object.values(await zip.entries()).filter(({ name }) => PLATFORM.test(name))
    if (entries.length !== 1) {
      const names = entries.map(({ name }) => name).join(', ')
      throw new BuildError(
        `Cannot use "${path}": a zip file with one platform-*.tgz is needed, it has ${names || 'none'}`,
      )
    }
    const { name, size: bytes } = entries[0]!
    const stream = (await zip.stream(name)) as Readable
    return { stream, shown: `${path}: ${basename(name)}`, bytes, close: () => zip.close() }
  } catch (error) {
    await zip.close().catch(() => {}) // it says again what is wrong with the file
    if (error instanceof BuildError) throw error
    throw new BuildError(
      `Cannot use "${path}": it is a damaged zip file (${oneLine((error as Error).message)})`,
    )
  }
}
