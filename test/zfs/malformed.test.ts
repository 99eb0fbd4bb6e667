/** Send streams of any disk, and any damage to them. */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readStream } from '../../lib/zfs/read.ts'
import { HEADER, RECORD_TYPES } from '../../lib/zfs/records.ts'
import { restoreStream, type StreamSummary, summarizeStream } from '../../lib/zfs/restore.ts'
import { zvolStream } from '../../lib/zfs/write.ts'
import { damaged, fc, holds, isLine, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'
import {
  basics,
  BLOCK,
  collect,
  recordsOf,
  sealed,
  vector,
  vectorStream,
  whole,
} from './streams.ts'

const good = await vectorStream()

/** A stream in pieces of these sizes, again and again. */
async function* cut(stream: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, i = 0; at < stream.length; i++) {
    const size = sizes[i % sizes.length]!
    yield stream.subarray(at, at + size)
    at += size
  }
}

const someDisk = fc
  .record({
    volblocksize: fc.integer({ min: 9, max: 15 }).map((bits) => 2 ** bits),
    bytes: fc.integer({ min: 1, max: 400_000 }),
    // What is written where: some of it zeros, some of it over what came before.
    writes: fc.array(
      fc.record({
        at: fc.nat(400_000),
        length: fc.nat(40_000),
        byte: fc.constantFrom(0, 0, 1, 255),
      }),
      { maxLength: 6 },
    ),
    // Extents beside those of the writes: holes that are told as data.
    more: fc.array(fc.record({ at: fc.nat(400_000), length: fc.nat(9_000) }), { maxLength: 3 }),
    name: fc.stringMatching(/^[a-z]{1,8}\/[a-z0-9]{1,80}@[a-z]{1,9}$/),
    guid: fc.bigInt(1n, 2n ** 64n - 1n),
    createdAtSeconds: fc.oneof(fc.nat(), fc.constantFrom(8_640_000_000_000)),
    sizes: fc.array(
      fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 70_000 })),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
  })
  .map(({ bytes, writes, more, ...rest }) => {
    const content = Buffer.alloc(bytes)
    for (const { at, length, byte } of writes)
      content.fill(byte, Math.min(at, bytes), Math.min(at + length, bytes))
    const extents = [...writes, ...more]
      .map(({ at, length }) => ({ offset: at, length: Math.min(length, Math.max(0, bytes - at)) }))
      .filter(({ offset }) => offset < bytes)
      .sort((a, b) => a.offset - b.offset)
    return { ...rest, bytes, content, extents }
  })

const round = suite('a disk, written as a stream and restored')
round('is the same, whatever its extents, blocks and pieces are', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    const restored = join(dir, 'restored')
    await holds(60, someDisk, async ({ content, extents, sizes, ...source }) => {
      const file = await open(path, 'w')
      await file.truncate(source.bytes) // holes
      for (const { offset, length } of extents) {
        await file.write(content, offset, length, offset)
      }
      await file.close()
      const stream = await collect(zvolStream({ ...source, path, extents }))
      const summary = await restoreStream(cut(stream, sizes), restored)
      const found = await readFile(restored)
      const { volblocksize } = source
      assert.is(found.length, Math.ceil(source.bytes / volblocksize) * volblocksize)
      assert.ok(found.subarray(0, source.bytes).equals(content), 'the content differs')
      assert.ok(found.subarray(source.bytes).every((byte) => byte === 0))
      for (const key of ['name', 'guid', 'createdAtSeconds', 'volblocksize'] as const) {
        assert.is(summary[key], source[key], key)
      }
      assert.is(summary.volumeBytes, found.length)
      let full = 0
      for (let at = 0; at < found.length; at += volblocksize) {
        if (found.subarray(at, at + volblocksize).some((byte) => byte !== 0)) full += volblocksize
      }
      assert.is(summary.dataBytes, full)
    })
  }),
)
round('is not written where it could not be read again', async () => {
  const wrong = {
    createdAtSeconds: [-1, 1.5, 8_640_000_000_001, Number.NaN],
    bytes: [0, -1, 2 ** 50 + 1, 2 ** 53, Number.NaN, 1.5],
    volblocksize: [0, 511, 3 * 512, 2 ** 18, Number.NaN],
    guid: [0n, -1n, 2n ** 64n],
    name: ['', '@', 'a@', '@a', 'a@b@c', 'a', `a@${'b'.repeat(254)}`, 'a\0b@c'],
  }
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      const source = { ...basics, path: '/dev/null', bytes: 512, extents: [], [field]: value }
      assert.ok(await told(() => collect(zvolStream(source))), `${field}: ${value}`)
    }
  }
})
round.run()

const hostile = suite('a stream that is damaged')
hostile('is refused, whatever was done to it', () =>
  holds(250, fc.tuple(damaged(good), fc.integer({ min: 1, max: 9000 })), async ([bytes, size]) => {
    const error = await told(() => summarizeStream(cut(bytes, [size])))
    if (bytes.equals(good)) return assert.is(error, undefined)
    assert.match(error!.message, /^Cannot read stream: /)
    assert.ok(isLine(error!.message), error!.message)
  }),
)

/** Fields of a header that a record could lie with: where they are, and values that could do harm. */
const lie = fc.tuple(
  fc.nat(20),
  fc.constantFrom(0, 4, 8, 16, 24, 28, 32, 40, 48, 50),
  fc.constantFrom(
    0n,
    1n,
    2n,
    3n,
    511n,
    512n,
    8191n,
    8192n,
    24576n,
    131072n,
    2n ** 31n,
    2n ** 32n,
    2n ** 50n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
)
hostile('with its checksums right is read in bounds, or refused', () =>
  holds(
    250,
    fc.tuple(
      fc.array(lie, { maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(20), fc.nat(20), fc.constantFrom('swap', 'double', 'drop')), {
        maxLength: 3,
      }),
      fc.boolean(),
    ),
    async ([lies, moves, old]) => {
      const records = recordsOf(good)
      for (const [i, j, how] of moves) {
        const [a, b] = [i % records.length, j % records.length]
        if (how === 'swap') [records[a], records[b]] = [records[b]!, records[a]!]
        else if (how === 'double') records.splice(b, 0, Buffer.from(records[a]!))
        else if (records.length > 1) records.splice(a, 1)
      }
      for (const [i, at, value] of lies) records[i % records.length]!.writeBigUInt64LE(value, at)
      const stream = sealed(records, { old })
      const summaries: StreamSummary[] = []
      let most = 0
      const error = await told(async () => {
        for await (const record of readStream(whole(stream))) {
          if (record.type === 'WRITE') most = Math.max(most, record.data.length)
          assert.ok(RECORD_TYPES.includes(record.type))
        }
        summaries.push(await summarizeStream(whole(stream)))
      })
      assert.ok(most <= 131072)
      if (error) return assert.match(error.message, /^Cannot read stream: /)
      const [{ volumeBytes, dataBytes, volblocksize }] = summaries as [StreamSummary]
      assert.ok(dataBytes <= vector.length && volumeBytes <= 2 ** 50)
      assert.is(volumeBytes % volblocksize, 0)
    },
  ),
)
hostile('of endless length is given up at its first wrong record', async () => {
  let taken = 0
  async function* endless() {
    yield good.subarray(0, good.length - HEADER)
    for (;;) {
      taken += BLOCK
      assert.ok(taken < 2 ** 20)
      yield Buffer.alloc(BLOCK)
    }
  }
  assert.ok(await told(() => summarizeStream(endless())))
})
hostile.run()
