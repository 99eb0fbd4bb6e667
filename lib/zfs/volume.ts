/**
 * What follows what in the stream of a volume. Receivers rely on it, and so does whoever restores by
 * writing blocks in the order they come: each once, and none freed afterwards.
 *
 * Both orders that senders use are taken: object 1 with its data before object 2, and both OBJECT
 * records first. Source: OpenZFS, module/zfs/dmu_recv.c (receive_object, receive_write, ...), which
 * since 2015 wants WRITE records to ascend by object and offset.
 */
import { Misfit, type StreamRecord } from './decode.ts'
import { DATA_OBJECT, PROPERTIES_OBJECT } from './records.ts'

/** Objects that a volume has, by number. */
const OBJECTS = new Map<bigint, { type: number }>(
  [DATA_OBJECT, PROPERTIES_OBJECT].map(({ number, type }) => [number, { type }]),
)
const SMALLEST_BLOCK = 512
const LARGEST_BLOCK = 131072

type Known = { blockBytes: number; /** Where its last block ended. */ end: number }

/** Follows a stream record by record. */
export class VolumeOrder {
  #objects = new Map<bigint, Known>()
  /** The object that WRITE records have come to. */
  #writing = 0n

  /** @throws {Misfit} when this record cannot come here; it is looked at before its payload is */
  check(record: StreamRecord): void {
    if (record.type === 'OBJECT') this.#checkObject(record)
    if (record.type === 'WRITE') this.#checkWrite(record)
    if (record.type === 'FREE') {
      const { end } = this.#known(record.object, 'a FREE')
      if (record.offset < BigInt(end)) throw new Misfit('a FREE of what was written before')
    }
    if (record.type === 'FREEOBJECTS') {
      const { first, count } = record
      for (const object of this.#objects.keys()) {
        if (first <= object && object < first + count) {
          throw new Misfit(`a FREEOBJECTS of object ${object}, which came before`)
        }
      }
    }
  }

  #checkObject({ object, objectType, blockBytes }: StreamRecord & { type: 'OBJECT' }): void {
    if (OBJECTS.get(object)?.type !== objectType) {
      throw new Misfit(`an object ${object} of type ${objectType}`)
    }
    const isPower = Number.isInteger(Math.log2(blockBytes))
    if (!isPower || blockBytes < SMALLEST_BLOCK || blockBytes > LARGEST_BLOCK) {
      throw new Misfit(`an object ${object} with blocks of ${blockBytes} bytes`)
    }
    if (this.#objects.has(object)) throw new Misfit(`a second object ${object}`)
    this.#objects.set(object, { blockBytes, end: 0 })
  }

  #checkWrite({ object, offset, bytes }: StreamRecord & { type: 'WRITE' }): void {
    const known = this.#known(object, 'a WRITE')
    if (bytes !== known.blockBytes || offset % bytes !== 0) {
      throw new Misfit(
        `a WRITE of ${bytes} bytes at ${offset}, in an object with blocks of ${known.blockBytes}`,
      )
    }
    if (object < this.#writing || offset < known.end) {
      throw new Misfit(`a WRITE to object ${object} at ${offset}, behind what was written before`)
    }
    this.#writing = object
    known.end = offset + bytes
  }

  #known(object: bigint, what: string): Known {
    const known = this.#objects.get(object)
    if (!known) throw new Misfit(`${what} to object ${object}, which did not begin before`)
    return known
  }
}
