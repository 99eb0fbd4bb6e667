/**
 * Reads a full send stream of a volume, as written by us or by `zfs send`, and checks all of it.
 *
 * Every record's checksum is verified (records of senders before 2015 have none, then END's counts),
 * lengths are never believed beyond what the format allows, and nothing may follow END. Compound
 * streams, incremental ones and those with feature flags are refused with what to do about it.
 */
import { BuildError } from '../cli/errors.ts'
import { checksumText, decodeBegin, decodeRecord, Misfit, type StreamRecord } from './decode.ts'
import { Fletcher4 } from './fletcher4.ts'
import { CHECKSUM_AT, HEADER } from './records.ts'
import { VolumeOrder } from './volume.ts'

export type { StreamRecord }

/** Cuts a stream that arrives in pieces of any size into the parts that are asked for. */
class Cutter {
  #pieces: AsyncIterator<Buffer>
  #piece: Buffer = Buffer.alloc(0)
  /** Bytes handed out so far. */
  position = 0

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** The next `bytes` bytes, or fewer at the end; valid until the next call. */
  async take(bytes: number): Promise<Buffer> {
    if (this.#piece.length < bytes) {
      const parts = [this.#piece]
      let have = this.#piece.length
      while (have < bytes) {
        const next = await this.#pieces.next()
        if (next.done) break
        parts.push(next.value)
        have += next.value.length
      }
      this.#piece = Buffer.concat(parts)
    }
    const part = this.#piece.subarray(0, bytes)
    this.#piece = this.#piece.subarray(part.length)
    this.position += part.length
    return part
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }
}

/** What is wrong with a stream from here on: damaged, cut off, or not what a volume has. */
class Place {
  readonly #input: Cutter
  #record = 0
  #at = 0
  #last = ''

  constructor(input: Cutter) {
    this.#input = input
  }

  /** The next record begins here. */
  enter(): void {
    this.#record += 1
    this.#at = this.#input.position
  }

  /** It was read whole. */
  leave(type: string): void {
    this.#last = type
  }

  damaged(): BuildError {
    return new BuildError(
      `Cannot read stream: it is damaged at or before record ${this.#record}, at byte ${this.#at}`,
      { hint: 'Fetch or build it again' },
    )
  }

  cutOff(): BuildError {
    const { position } = this.#input
    const last = this.#last && `, the last whole one is ${this.#last}`
    return new BuildError(
      position === 0
        ? 'Cannot read stream: it is empty'
        : `Cannot read stream: it is cut off in record ${this.#record}, at byte ${position}${last}`,
      { hint: 'Fetch or build it again' },
    )
  }

  misfit(error: Misfit): BuildError {
    return new BuildError(
      `Cannot read stream: record ${this.#record}, at byte ${this.#at}, is ${error.message}`,
      { hint: 'It is damaged, or not the stream of a volume', cause: error },
    )
  }
}

/**
 * The records of a stream. A WRITE's `data` are valid until the next record is asked for.
 *
 * @throws {BuildError} for anything but one whole, undamaged, full stream of a volume; the message
 *   says in which record and at which byte
 */
export async function* readStream(pieces: AsyncIterable<Buffer>): AsyncGenerator<StreamRecord> {
  const input = new Cutter(pieces)
  const sum = new Fletcher4()
  const order = new VolumeOrder()
  const place = new Place(input)
  const take = async (bytes: number) => {
    const part = await input.take(bytes)
    if (part.length < bytes) throw place.cutOff()
    return part
  }
  try {
    place.enter()
    const first = await take(HEADER)
    const begin = decodeBegin(first)
    sum.update(first)
    place.leave(begin.type)
    yield begin
    for (;;) {
      place.enter()
      const header = await take(HEADER)
      const before = checksumText(sum.digest())
      sum.update(header.subarray(0, CHECKSUM_AT))
      const own = header.subarray(CHECKSUM_AT)
      if (own.some((byte) => byte !== 0) && !own.equals(sum.digest())) throw place.damaged()
      sum.update(own)
      const record = decodeRecord(header)
      order.check(record)
      if (record.type === 'WRITE') {
        record.data = await take(record.bytes)
        sum.update(record.data)
      }
      if (record.type === 'END') {
        if (record.checksum !== before) throw place.damaged()
        const { position } = input
        if ((await input.take(1)).length > 0) {
          throw new BuildError(`Cannot read stream: more follows its end, at byte ${position}`)
        }
      }
      place.leave(record.type)
      yield record
      if (record.type === 'END') return
    }
  } catch (error) {
    throw error instanceof Misfit ? place.misfit(error) : error
  } finally {
    await input.close()
  }
}
