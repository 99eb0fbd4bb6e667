/**
 * Gzip on all cores: independent chunks become gzip members of their own, which `gzip -dc` (and so
 * imgadm) reads as one file. Members carry no name and no time, so the same bytes in are the same
 * bytes out.
 *
 * The compressor is libdeflate's own program: smaller files than gzip -9, in a fraction of its time;
 * where it is not installed, Node's zlib in its thread pool. Weighed and rejected: the npm package
 * `libdeflate`, WebAssembly at half the speed, one release, for Node 24 only.
 *
 * Its processes are started here and not through lib/cli/run.ts, which is made for commands worth
 * showing to an operator and reads output as text: this is hundreds of them, fed with binary data.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { constants, createGunzip, gzip as zlibGzip } from 'node:zlib'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { BuildError, errorCode, explain } from '../cli/errors.ts'
import { session } from '../cli/session.ts'
import { isFiller } from '../disk/blocks.ts'
import { findTool, TOOLS } from '../host/tools.ts'

/** Bytes in a member: from 1 to 8 MiB the size changes by 0.1 %, larger ones cost memory. */
const CHUNK = 4 << 20
/**
 * Chunks at work at once: one more than cores, so that none waits for the next chunk to be read, but
 * bounded, as each costs some 20 MiB of memory.
 */
const MOST_JOBS = 9
/**
 * libdeflate's level: the lowest that is not larger than pigz -9, by 0.3 % (bench/stream.ts). 5 is
 * 0.05 % larger; 7 saves another 0.2 % for a third more time.
 */
const LIBDEFLATE_LEVEL = 6
const ZLIB_LEVEL = 6

export type GzipOptions = {
  signal?: AbortSignal
  /** What compresses; by default libdeflate where it is installed. */
  compressor?: 'libdeflate' | 'zlib'
  /** Chunks at work at once. */
  jobs?: number
}

/** The compressor that gzip() will use. */
function chooseCompressor(): 'libdeflate' | 'zlib' {
  // --dry-run tells of a machine on which everything is installed.
  return session.dryRun || findTool(TOOLS.libdeflateGzip.name) ? 'libdeflate' : 'zlib'
}

/** In words, for a log. */
export function describeCompressor(): string {
  const each = `per ${CHUNK >> 20} MiB`
  return chooseCompressor() === 'libdeflate'
    ? `libdeflate-gzip -${LIBDEFLATE_LEVEL} -c ${each}`
    : `zlib level ${ZLIB_LEVEL} ${each}`
}

/** A chunk comes as the pieces that make it up: joining them is left to who needs it. */
type Compress = (chunk: Buffer[], signal: AbortSignal) => Promise<Buffer>

const withZlib: Compress = (chunk) =>
  promisify(zlibGzip)(Buffer.concat(chunk), {
    level: ZLIB_LEVEL,
    memLevel: constants.Z_MAX_MEMLEVEL,
  })

const withLibdeflate: Compress = (chunk, signal) =>
  new Promise((done, fail) => {
    const program = TOOLS.libdeflateGzip.name
    const child = spawn(program, [`-${LIBDEFLATE_LEVEL}`, '-c'], { signal, killSignal: 'SIGKILL' })
    child.on('error', (error) => {
      // Killed, it is there for some moments more: who hears of the end may look for what is left.
      if (signal.aborted && child.pid !== undefined) return
      fail(
        signal.aborted
          ? signal.reason
          : new BuildError(`Cannot run ${program}: ${error.message}`, { cause: error }),
      )
    })
    // The types don't say so: without free file descriptors there is no pipe, and an error follows.
    if (!child.stdout) return
    const out: Buffer[] = []
    let said = ''
    child.stdout.on('data', (data: Buffer) => out.push(data))
    child.stderr.on('data', (data: Buffer) => (said += data))
    child.on('close', (status, killer) => {
      if (status === 0) return done(Buffer.concat(out))
      if (signal.aborted) return fail(signal.reason)
      const how = killer ? `was killed by ${killer}` : `exited ${status}`
      const words = said.trim() && `: ${said.trim()}`
      fail(new BuildError(`Cannot compress: ${program} ${how}${words}`))
    })
    // A child that dies early breaks the pipe; how it died is the better story.
    child.stdin.on('error', () => {})
    child.stdin.cork() // one writev for all
    for (const piece of chunk) child.stdin.write(piece)
    child.stdin.end()
  })

/** Pieces of any size as chunks of CHUNK bytes, the last one shorter. */
async function* chunks(pieces: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer[]> {
  let held: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const part = piece.subarray(from, from + CHUNK - bytes)
      held.push(part)
      bytes += part.length
      from += part.length
      if (bytes < CHUNK) continue
      yield held
      held = []
      bytes = 0
    }
  }
  if (bytes > 0) yield held
}

/**
 * Compress a stream of bytes; yields gzip members in order. Empty input gives one empty member.
 * Pieces are held, not copied, until they are compressed: their source must not write to them again.
 *
 * @throws {BuildError} when the compressor fails; the signal's reason when it is aborted
 */
export async function* gzip(
  pieces: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: GzipOptions = {},
): AsyncGenerator<Buffer> {
  const { compressor = chooseCompressor() } = options
  const compress = compressor === 'libdeflate' ? withLibdeflate : withZlib
  const jobs = options.jobs ?? Math.min(availableParallelism() + 1, MOST_JOBS)
  const stop = new AbortController()
  const onAbort = () => stop.abort(options.signal?.reason)
  options.signal?.addEventListener('abort', onAbort)
  if (options.signal?.aborted) onAbort()
  const atWork: Promise<Buffer>[] = []
  let empty = true
  let hole: Promise<Buffer> | undefined
  try {
    for await (const chunk of chunks(pieces)) {
      stop.signal.throwIfAborted()
      empty = false
      // Most of a disk is empty: what none of its blocks covers is compressed once.
      const isHole = chunk.every(isFiller) && lengthOf(chunk) === CHUNK
      const member = isHole ? (hole ??= compress(chunk, stop.signal)) : compress(chunk, stop.signal)
      member.catch(() => {}) // it is awaited below, in its turn
      atWork.push(member)
      if (atWork.length >= jobs) yield await atWork.shift()!
    }
    while (atWork.length > 0) yield await atWork.shift()!
    if (empty) yield await compress([], stop.signal)
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
    stop.abort(new Error('the reader stopped'))
    await Promise.allSettled(atWork)
  }
}

const lengthOf = (pieces: readonly Buffer[]) => pieces.reduce((sum, { length }) => sum + length, 0)

const GUNZIP_FAULTS: Record<string, string> = {
  Z_BUF_ERROR: 'it is cut off',
  Z_DATA_ERROR: 'its content is damaged',
}

/**
 * Content of a gzip file, of any number of members; `onRead` hears the bytes of the file that are read.
 *
 * @throws {BuildError} when it is no gzip, damaged or cut off
 */
export async function* gunzip(
  path: string,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const input = createReadStream(path, { highWaterMark: 1 << 18 })
  const output = createGunzip({ chunkSize: 1 << 18 })
  pipeline(input, output, () => {})
  let any = false
  try {
    for await (const piece of output as AsyncIterable<Buffer>) {
      any = true
      onRead(input.bytesRead)
      yield piece
    }
  } catch (error) {
    const fault = GUNZIP_FAULTS[errorCode(error) ?? '']
    if (!fault) throw explain(`read "${path}"`, error)
    const header = error instanceof Error && /header/.test(error.message) && !any
    throw new BuildError(`Cannot decompress "${path}": ${header ? 'it is no gzip file' : fault}`, {
      hint: 'Fetch or build it again',
      cause: error,
    })
  }
}
