import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readStream, type StreamRecord } from '../../lib/zfs/read.ts'
import { freeObjectsRecord, freeRecord, HEADER } from '../../lib/zfs/records.ts'
import { summarizeStream } from '../../lib/zfs/restore.ts'
import { Random } from '../random.ts'
import { errorOf } from '../temporary.ts'
import { basics, BLOCK, inPieces, recordsOf, sealed, vectorStream, whole } from './streams.ts'

const good = await vectorStream()
const goodRecords = recordsOf(good)
/** Places of the records in the stream of the vector. */
const [BEGIN, OBJECT1, FREE1, WRITE_A, WRITE_B, OBJECT2, FREE2, SIZE, FREEOBJECTS, END] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const

/** What reading a stream complains about. */
async function complaint(stream: Buffer): Promise<string> {
  const error = await errorOf(() => summarizeStream(whole(stream)))
  assert.is(error.name, 'BuildError', error.stack ?? '')
  return error.message
}

/** The records, one of them changed. */
function changed(record: number, change: (record: Buffer) => void): Buffer[] {
  const records = recordsOf(good)
  change(records[record]!)
  return records
}
const pick = (...records: number[]) => records.map((i) => goodRecords[i]!)

const reading = suite('readStream()')
reading('reads records in order, whatever the pieces are', async () => {
  for (let seed = 0; seed < 5; seed++) {
    const records: StreamRecord[] = []
    for await (const record of readStream(inPieces(good, new Random(seed)))) {
      records.push(record.type === 'WRITE' ? { ...record, data: Buffer.from(record.data) } : record)
    }
    const types = records.map(({ type }) => type).join(' ')
    assert.is(types, 'BEGIN OBJECT FREE WRITE WRITE OBJECT FREE WRITE FREEOBJECTS END')
    const written = records[WRITE_A] as StreamRecord & { type: 'WRITE' }
    assert.ok(written.data.equals(Buffer.alloc(BLOCK, 'A')))
  }
})
reading('takes what senders before 2015 write: grouped, with keys, without checksums', async () => {
  const keyed = recordsOf(good)
  for (const i of [WRITE_A, WRITE_B, SIZE]) {
    keyed[i]!.writeUInt8(7, 48) // fletcher-4, and the block's own key
    keyed[i]!.set(new Random(i).bytes(40), 56)
  }
  const { guid } = basics
  const records = [
    keyed[BEGIN]!,
    freeObjectsRecord(0n, 1n, guid),
    keyed[OBJECT1]!,
    keyed[FREE1]!,
    keyed[OBJECT2]!,
    keyed[FREE2]!,
    keyed[FREEOBJECTS]!,
    freeObjectsRecord(32n, 422212465065952n, guid),
    keyed[WRITE_A]!,
    freeRecord(1n, BigInt(BLOCK), BigInt(BLOCK), guid), // one for each hole
    keyed[WRITE_B]!,
    keyed[SIZE]!,
    keyed[END]!,
  ]
  const old = sealed(records, { old: true })
  assert.is((await summarizeStream(whole(old))).dataBytes, 2 * BLOCK)
  assert.is((await summarizeStream(whole(sealed(records)))).volumeBytes, 3 * BLOCK)
  old[9 * HEADER + 5]! ^= 1
  assert.match(await complaint(old), /damaged at or before record 13, at byte /)
})
reading('notices a flipped bit in every byte of every header, and in data', async () => {
  const random = new Random(5)
  let start = 0
  for (const [i, record] of goodRecords.entries()) {
    const places = [
      ...Array.from({ length: HEADER }, (_, at) => at),
      ...Array.from({ length: record.length > HEADER ? 40 : 0 }, () => random.below(record.length)),
    ]
    for (const place of places) {
      const copy = Buffer.from(good)
      copy[start + place]! ^= 1 << random.below(8)
      assert.match(await complaint(copy), /^Cannot read stream: /, `byte ${place} of record ${i}`)
    }
    start += record.length
  }
})
reading('says where a stream is cut off: at every boundary and inside', async () => {
  assert.is(await complaint(Buffer.alloc(0)), 'Cannot read stream: it is empty')
  let start = 0
  for (const [i, record] of goodRecords.entries()) {
    for (const end of [start, start + 1, start + HEADER - 1, start + HEADER, start + HEADER + 9]) {
      if (end === 0 || end >= start + record.length) continue
      const last = ['', 'BEGIN', 'OBJECT', 'FREE', 'WRITE'][Math.min(i, WRITE_B)]!
      const expected = `Cannot read stream: it is cut off in record ${i + 1}, at byte ${end}`
      const found = await complaint(good.subarray(0, end))
      assert.is(found.slice(0, expected.length), expected)
      if (i <= WRITE_B)
        assert.is(found.slice(expected.length), last && `, the last whole one is ${last}`)
    }
    start += record.length
  }
})
reading('notices what follows the end', async () => {
  const text = await complaint(Buffer.concat([good, Buffer.from('x')]))
  assert.is(text, 'Cannot read stream: more follows its end, at byte 20016')
})
reading('ends its input when it stops', async () => {
  let ended = false
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(1000)
    } finally {
      ended = true
    }
  }
  await errorOf(() => summarizeStream(endless()))
  assert.ok(ended)
})
reading('never crashes on random damage', async () => {
  const random = new Random(11)
  for (let round = 0; round < 150; round++) {
    const copy = Buffer.from(good.subarray(0, 1 + random.below(good.length)))
    for (let i = random.below(5); i > 0; i--) copy[random.below(copy.length)] = random.below(256)
    if (!copy.equals(good)) await complaint(copy)
  }
})
reading.run()

// Whole streams, with checksums that are right, that are not the stream of a volume.
const refusing = suite('readStream() refuses')
for (const [name, records, expected] of [
  ['other data', changed(BEGIN, (r) => r.fill('hello')), /does not begin as a ZFS send stream$/],
  ['a big-endian stream', changed(BEGIN, (r) => r.swap64()), /sent by a big-endian machine$/],
  [
    'a compound stream',
    changed(BEGIN, (r) => r.writeBigUInt64LE(2n, 16)),
    /it holds several snapshots or properties$/,
  ],
  ['a payload of BEGIN', changed(BEGIN, (r) => r.writeUInt32LE(64, 4)), /it holds properties$/],
  [
    'features, by name',
    changed(BEGIN, (r) =>
      r.writeBigUInt64LE(1n | (((1n << 16n) | (1n << 17n) | (1n << 22n)) << 2n), 16),
    ),
    /it uses embedded data \(-e\), LZ4, compressed \(-c\)$/,
  ],
  [
    'unknown features',
    changed(BEGIN, (r) => r.writeBigUInt64LE(1n | (1n << 52n), 16)),
    /it uses unknown flag 50$/,
  ],
  ['a file system', changed(BEGIN, (r) => r.writeUInt32LE(2, 32)), /a file system, not a volume$/],
  [
    'an incremental stream',
    changed(BEGIN, (r) => r.writeBigUInt64LE(5n, 48)),
    /it is incremental$/,
  ],
  [
    'a time no clock shows',
    changed(BEGIN, (r) => r.writeBigUInt64LE(1n << 63n, 24)),
    /made in second 9223372036854775808$/,
  ],
  ['a second BEGIN', [...pick(BEGIN), ...goodRecords], /record 2, at byte 312, is of type BEGIN$/],
  [
    'an unknown record',
    changed(FREE1, (r) => r.writeUInt32LE(77, 0)),
    /record 3, at byte 624, is of the unknown type 77$/,
  ],
  [
    'a record of a newer format',
    changed(FREE1, (r) => r.writeUInt32LE(8, 0)),
    /type WRITE_EMBEDDED$/,
  ],
  [
    'an object of a file',
    changed(OBJECT1, (r) => r.writeUInt32LE(19, 16)),
    /record 2, at byte 312, is an object 1 of type 19$/,
  ],
  [
    'an object with a bonus buffer',
    changed(OBJECT1, (r) => r.writeUInt32LE(64, 28)),
    /is an object with a bonus buffer$/,
  ],
  [
    'blocks of no power of two',
    changed(OBJECT1, (r) => r.writeUInt32LE(8000, 24)),
    /is an object 1 with blocks of 8000 bytes$/,
  ],
  [
    'blocks without bounds',
    changed(OBJECT1, (r) => r.writeUInt32LE(2 ** 31, 24)),
    /is an object 1 with blocks of 2147483648 bytes$/,
  ],
  [
    'an object twice',
    pick(BEGIN, OBJECT1, OBJECT1),
    /record 3, at byte 624, is a second object 1$/,
  ],
  [
    'a payload without bounds',
    changed(WRITE_A, (r) => r.writeBigUInt64LE(1n << 60n, 32)),
    /record 4, at byte 936, is a block of 1152921504606846976 bytes$/,
  ],
  [
    'an empty payload',
    changed(WRITE_A, (r) => r.writeBigUInt64LE(0n, 32)),
    /is a block of 0 bytes$/,
  ],
  [
    'a payload that is no block',
    changed(WRITE_A, (r) => r.writeBigUInt64LE(512n, 32)),
    /is a WRITE of 512 bytes at 0, in an object with blocks of 8192$/,
  ],
  [
    'a payload between blocks',
    changed(WRITE_B, (r) => r.writeBigUInt64LE(16385n, 24)),
    /is a WRITE of 8192 bytes at 16385, in an object with blocks of 8192$/,
  ],
  [
    'a place beyond all volumes',
    changed(WRITE_A, (r) => r.writeBigUInt64LE((1n << 64n) - 8192n, 24)),
    /is a block that ends at byte 18446744073709551616$/,
  ],
  ['a compressed block', changed(WRITE_A, (r) => r.writeUInt8(15, 50)), /is a compressed block$/],
  [
    'data of an object that did not begin',
    pick(BEGIN, WRITE_A),
    /is a WRITE to object 1, which did not begin before$/,
  ],
  [
    'blocks in descending order',
    pick(BEGIN, OBJECT1, WRITE_B, WRITE_A),
    /is a WRITE to object 1 at 0, behind what was written before$/,
  ],
  [
    'a block twice',
    pick(BEGIN, OBJECT1, WRITE_A, WRITE_A),
    /is a WRITE to object 1 at 0, behind what was written before$/,
  ],
  [
    'objects in descending order',
    pick(BEGIN, OBJECT1, OBJECT2, SIZE, WRITE_A),
    /is a WRITE to object 1 at 0, behind what was written before$/,
  ],
  [
    'a block that is freed afterwards',
    [...pick(BEGIN, OBJECT1, WRITE_A), freeRecord(1n, 0n, 8192n, basics.guid)],
    /is a FREE of what was written before$/,
  ],
  [
    'an object that is freed afterwards',
    [...pick(BEGIN, OBJECT1, WRITE_A), freeObjectsRecord(0n, 1n << 62n, basics.guid)],
    /is a FREEOBJECTS of object 1, which came before$/,
  ],
  [
    'data beyond the volume',
    changed(SIZE, (r) => r.writeBigUInt64LE(BigInt(BLOCK), HEADER + 64)),
    /data end at byte 24576 of a volume of 8192 bytes$/,
  ],
  [
    'a volume without bounds',
    changed(SIZE, (r) => r.writeBigUInt64LE(1n << 63n, HEADER + 64)),
    /its volume is said to have 9223372036854775808 bytes in blocks of 8192$/,
  ],
  [
    'a volume of parts of blocks',
    changed(SIZE, (r) => r.writeBigUInt64LE(24577n, HEADER + 64)),
    /its volume is said to have 24577 bytes in blocks of 8192$/,
  ],
  [
    'a volume without size',
    changed(SIZE, (r) => r.write('Size', HEADER + 78)),
    /does not say how large the volume is$/,
  ],
  ['a stream without objects', pick(BEGIN, END), /does not say how large the volume is$/],
] as [string, Buffer[], RegExp][]) {
  refusing(name, async () => assert.match(await complaint(sealed(records)), expected))
}
refusing('with a hint where there is something to do', async () => {
  const records = changed(BEGIN, (r) => r.writeBigUInt64LE(1n | (1n << 24n), 16))
  const error = await errorOf(() => summarizeStream(whole(sealed(records))))
  assert.match(error.hint ?? '', /^Send it again without -c, /)
})
refusing.run()
