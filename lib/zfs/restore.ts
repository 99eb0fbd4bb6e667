/**
 * From a stream back to the raw disk, and to a summary of what it holds.
 *
 * The size of the volume may come last (it is in object 2), so that the file gets it at the end. What
 * no WRITE covers stays a hole.
 */
import { BuildError } from '../cli/errors.ts'
import { type Blocks, writeSparse } from '../disk/blocks.ts'
import { readStream, type StreamRecord } from './read.ts'
import { DATA_OBJECT, LARGEST_VOLUME, volumeBytesOf } from './records.ts'

export type StreamSummary = {
  name: string
  guid: bigint
  createdAtSeconds: number
  volblocksize: number
  volumeBytes: number
  /** Bytes of data blocks; the rest of the volume is zeros. */
  dataBytes: number
  records: Record<string, number>
  /** Fletcher-4 of all before END, as zstreamdump prints it. */
  checksum: string
}

/** Follows a stream record by record, and knows what it holds at its end. */
class Summary {
  #begin: (StreamRecord & { type: 'BEGIN' }) | undefined
  #records: Record<string, number> = {}
  #volblocksize = 0
  #volumeBytes: bigint | undefined
  #dataBytes = 0
  #dataEnd = 0
  #checksum = ''

  add(record: StreamRecord): void {
    this.#records[record.type] = (this.#records[record.type] ?? 0) + 1
    if (record.type === 'BEGIN') this.#begin = record
    if (record.type === 'END') this.#checksum = record.checksum
    if (record.type === 'OBJECT' && record.object === DATA_OBJECT.number) {
      this.#volblocksize = record.blockBytes
    }
    if (record.type !== 'WRITE') return
    if (record.object === DATA_OBJECT.number) {
      this.#dataBytes += record.data.length
      this.#dataEnd = Math.max(this.#dataEnd, record.offset + record.data.length)
    } else if (record.offset === 0) {
      this.#volumeBytes = volumeBytesOf(record.data)
    }
  }

  finish(): StreamSummary {
    const volumeBytes = this.#volumeBytes
    if (!this.#begin || this.#volblocksize === 0 || volumeBytes === undefined) {
      throw new BuildError('Cannot read stream: it does not say how large the volume is')
    }
    const rest = volumeBytes % BigInt(this.#volblocksize)
    if (volumeBytes === 0n || volumeBytes > LARGEST_VOLUME || rest !== 0n) {
      throw new BuildError(
        `Cannot read stream: its volume is said to have ${volumeBytes} bytes in blocks of ${this.#volblocksize}`,
      )
    }
    if (BigInt(this.#dataEnd) > volumeBytes) {
      throw new BuildError(
        `Cannot read stream: data end at byte ${this.#dataEnd} of a volume of ${volumeBytes} bytes`,
      )
    }
    const { name, guid, createdAtSeconds } = this.#begin
    return {
      name,
      guid,
      createdAtSeconds,
      volblocksize: this.#volblocksize,
      volumeBytes: Number(volumeBytes),
      dataBytes: this.#dataBytes,
      records: this.#records,
      checksum: this.#checksum,
    }
  }
}

/** Read a whole stream, checking it, and say what it holds. @throws {BuildError} as readStream */
export async function summarizeStream(pieces: AsyncIterable<Buffer>): Promise<StreamSummary> {
  const summary = new Summary()
  for await (const record of readStream(pieces)) summary.add(record)
  return summary.finish()
}

/** The disk that a stream holds; `onEnd` hears what else there is to know. @throws {BuildError} as readStream */
export async function* streamBlocks(
  pieces: AsyncIterable<Buffer>,
  onEnd: (summary: StreamSummary) => void = () => {},
): Blocks {
  const summary = new Summary()
  for await (const record of readStream(pieces)) {
    summary.add(record)
    if (record.type !== 'WRITE' || record.object !== DATA_OBJECT.number) continue
    yield { offset: record.offset, data: Buffer.from(record.data) } // its own is used again
  }
  const result = summary.finish()
  onEnd(result)
  return result.volumeBytes
}

/**
 * Restore the raw disk: a sparse file of the volume's size, with its final name only when whole.
 *
 * @throws {BuildError} as readStream, and when the file can't be written; nothing is left then
 */
export async function restoreStream(
  pieces: AsyncIterable<Buffer>,
  path: string,
  options: { signal?: AbortSignal } = {},
): Promise<StreamSummary> {
  let summary: StreamSummary | undefined
  await writeSparse(
    streamBlocks(pieces, (result) => (summary = result)),
    path,
    options,
  )
  return summary!
}
