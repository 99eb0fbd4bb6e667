/**
 * Writes a full send stream of a volume from a raw disk, without ZFS.
 *
 * One WRITE per block that is not all zeros; what was never written reads as zeros. Time and memory
 * depend on the data, not on the size of the disk. The order of records is that of OpenZFS 2:
 * object 1 with its data is finished before object 2 begins, which resumable receives insist on.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { Fletcher4 } from './fletcher4.ts'
import {
  beginRecord,
  CHECKSUM_AT,
  DATA_OBJECT,
  endRecord,
  freeObjectsRecord,
  freeRecord,
  LARGEST_VOLUME,
  LAST_SECOND,
  LONGEST_NAME,
  objectRecord,
  PROPERTIES_OBJECT,
  propertiesBlock,
  TO_THE_END,
  writeRecord,
} from './records.ts'

export type Extent = { offset: number; length: number }

export type ZvolSource = {
  /** A raw disk: file or device. */
  path: string
  /** Size of the volume; rounded up to whole blocks. */
  bytes: number
  /** Parts that may hold data, ascending; everything else is known to be zeros. */
  extents: AsyncIterable<Extent> | Iterable<Extent>
  /** The snapshot's guid: non-zero. */
  guid: bigint
  createdAtSeconds: number
  /** `pool/volume@snapshot` */
  name: string
  /** A power of two from 512 to 131072; SmartOS' own default is 8192. */
  volblocksize?: number
  /** Called with the part of the disk that is done, from 0 to 1. */
  onProgress?: (fraction: number) => void
}

/** Bytes of each piece that is yielded (the last may be shorter). */
const PIECE = 1 << 20
/** Bytes read at once. */
const READ = 1 << 20

/** Collects records into pieces of a fixed size and keeps the running checksum. */
class Framer {
  #sum = new Fletcher4()
  #piece = Buffer.allocUnsafe(PIECE)
  #used = 0
  #full: Buffer[] = []

  /** Add a record; BEGIN alone carries no checksum of its own. */
  add(record: Buffer, payload?: Uint8Array): void {
    if (record.readUInt32LE(0) === 0) this.#sum.update(record)
    else {
      this.#sum.update(record.subarray(0, CHECKSUM_AT))
      this.#sum.writeTo(record, CHECKSUM_AT)
      this.#sum.update(record.subarray(CHECKSUM_AT))
    }
    this.#append(record)
    if (!payload) return
    this.#sum.update(payload)
    this.#append(payload)
  }

  checksum(): Buffer {
    return this.#sum.digest()
  }

  #append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + PIECE - this.#used)
      this.#piece.set(part, this.#used)
      this.#used += part.length
      from += part.length
      if (this.#used < PIECE) return
      this.#full.push(this.#piece)
      this.#piece = Buffer.allocUnsafe(PIECE)
      this.#used = 0
    }
  }

  /** Pieces that are full; with `rest` the one that is not, too. */
  take(rest = false): Buffer[] {
    const pieces = this.#full
    this.#full = []
    if (rest && this.#used > 0) pieces.push(this.#piece.subarray(0, this.#used))
    return pieces
  }
}

function checkSource(source: ZvolSource): void {
  const { name, guid, bytes, createdAtSeconds, volblocksize = 8192 } = source
  const power = Number.isInteger(Math.log2(volblocksize))
  if (!power || volblocksize < 512 || volblocksize > 131072) {
    throw new BuildError(
      `Cannot write a stream with volblocksize ${volblocksize}: a power of two from 512 to 131072 is needed`,
    )
  }
  if (!/^[^@\0]+@[^@\0]+$/.test(name) || Buffer.byteLength(name) > LONGEST_NAME) {
    throw new BuildError(`Cannot write a stream named "${name}": it has to be <dataset>@<snapshot>`)
  }
  if (guid <= 0n || guid > TO_THE_END) {
    throw new BuildError(`Cannot write a stream with guid ${guid}: it has 64 bits, and is not 0`)
  }
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || BigInt(bytes) > LARGEST_VOLUME) {
    throw new BuildError(`Cannot write a stream of a volume of ${bytes} bytes`)
  }
  // What readStream refuses is not to be written.
  const seconds = Number.isSafeInteger(createdAtSeconds) ? BigInt(createdAtSeconds) : -1n
  if (seconds < 0n || seconds > LAST_SECOND) {
    throw new BuildError(`Cannot write a stream of a snapshot made in second ${createdAtSeconds}`)
  }
}

/**
 * The stream, in pieces of at most 1 MiB, which the caller may keep.
 *
 * @throws {BuildError} when the disk is shorter than it should be, or can't be read
 * @throws {RangeError} when extents do not ascend: a fault of the caller
 */
export async function* zvolStream(source: ZvolSource): AsyncGenerator<Buffer> {
  checkSource(source)
  const { path, guid, volblocksize = 8192 } = source
  const volumeBytes = Math.ceil(source.bytes / volblocksize) * volblocksize
  const framer = new Framer()
  framer.add(beginRecord(source))
  framer.add(objectRecord(DATA_OBJECT, volblocksize, guid))
  framer.add(freeRecord(DATA_OBJECT.number, BigInt(volumeBytes), TO_THE_END, guid))

  const disk = await open(path, 'r').catch((error: unknown) => {
    throw explain(`read "${path}"`, error)
  })
  try {
    const zeros = Buffer.alloc(volblocksize)
    await checkLength(disk, source)
    for await (const { offset, data } of dataBlocks(disk, source, volblocksize)) {
      for (let at = 0; at < data.length; at += volblocksize) {
        const block = data.subarray(at, at + volblocksize)
        if (block.equals(zeros)) continue
        framer.add(writeRecord(DATA_OBJECT, BigInt(offset + at), volblocksize, guid), block)
      }
      yield* framer.take()
      source.onProgress?.(Math.min(1, (offset + data.length) / source.bytes))
    }
    // Again: what lies in holes is never read, so that a disk cut short there would go unnoticed.
    await checkLength(disk, source)
  } finally {
    await disk.close()
  }

  const { number, blockBytes } = PROPERTIES_OBJECT
  framer.add(objectRecord(PROPERTIES_OBJECT, blockBytes, guid))
  framer.add(freeRecord(number, BigInt(blockBytes), TO_THE_END, guid))
  framer.add(
    writeRecord(PROPERTIES_OBJECT, 0n, blockBytes, guid),
    propertiesBlock(BigInt(volumeBytes), guid),
  )
  framer.add(freeObjectsRecord(3n, 29n, guid))
  framer.add(endRecord(framer.checksum(), guid))
  yield* framer.take(true)
}

/** A file holds all of the volume (the size of a device is not told by stat). */
async function checkLength(disk: FileHandle, { path, bytes }: ZvolSource): Promise<void> {
  const stat = await disk.stat()
  if (stat.isFile() && stat.size < bytes) throw endsEarly(path, stat.size, bytes)
}

function endsEarly(path: string, end: number, bytes: number): BuildError {
  return new BuildError(`Cannot read "${path}": it ends at byte ${end} of ${bytes}`, {
    hint: 'Something else writes to it: try again when that has ended',
  })
}

/** Whole blocks, several at a time, that extents touch: each once, ascending, the last filled up. */
async function* dataBlocks(disk: FileHandle, source: ZvolSource, block: number) {
  const buffer = Buffer.alloc(Math.max(READ, block))
  let done = 0
  let last = 0
  for await (const { offset, length } of source.extents) {
    // Silently skipping what comes late would lose data.
    if (offset < last || length < 0) {
      throw new RangeError(`Extent of ${length} bytes at ${offset} comes after one at ${last}`)
    }
    last = offset
    const from = Math.max(done, Math.floor(offset / block) * block)
    const end = Math.min(Math.ceil((offset + length) / block) * block, source.bytes)
    for (let at = from; at < end; at += buffer.length) {
      const wanted = Math.min(buffer.length, end - at)
      await readFully(disk, buffer.subarray(0, wanted), at, source)
      const padded = Math.ceil(wanted / block) * block
      buffer.fill(0, wanted, padded)
      yield { offset: at, data: buffer.subarray(0, padded) }
    }
    done = Math.max(done, Math.ceil(end / block) * block)
  }
}

async function readFully(disk: FileHandle, into: Buffer, position: number, source: ZvolSource) {
  for (let got = 0; got < into.length;) {
    const { bytesRead } = await disk
      .read(into, got, into.length - got, position + got)
      .catch((error: unknown) => {
        throw explain(`read "${source.path}"`, error)
      })
    if (bytesRead === 0) {
      await checkLength(disk, source) // knows better where a file ends
      throw endsEarly(source.path, position + got, source.bytes)
    }
    got += bytesRead
  }
}
