import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createHash } from 'node:crypto'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { summarizeStream } from '../../lib/zfs/restore.ts'
import { type Extent, type ZvolSource, zvolStream } from '../../lib/zfs/write.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'
import {
  basics,
  BLOCK,
  collect,
  recordsOf,
  sealed,
  streamOf,
  vector,
  vectorStream,
  whole,
} from './streams.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const MIB = 1 << 20

const writing = suite('zvolStream()')
writing('writes the known vector, byte for byte', async () => {
  const stream = await vectorStream()
  assert.is(stream.length, 20016)
  assert.is(sha256(stream), 'a7b458695a34adc799451d73709afe4e71ba3636696ca332995450a938a4a149')
  const { checksum } = await summarizeStream(whole(stream))
  assert.is(checksum, '63ab4cc802a/34af9531db34ec/23327a3ee7c38bf8/5704aa09045e952')
})
writing('writes, but for records that may be left out, the known minimum', async () => {
  // FREEOBJECTS is 2, FREE is 4.
  const needed = recordsOf(await vectorStream()).filter((r) => ![2, 4].includes(r.readUInt32LE(0)))
  const stream = sealed(needed)
  assert.is(stream.length, 19080)
  assert.is(sha256(stream), '78d005a0bad9f5f3c795cb479501762a8ecfc40fff35f0f7f3ad259cc6ae420c')
  const { checksum } = await summarizeStream(whole(stream))
  assert.is(checksum, '629707bd9e5/308b9573b79ddc/114657d4a35a489/b3a5d7c5d4bdd803')
})
writing('writes each block once, whatever the extents are', () =>
  inTemporaryDir(async (dir) => {
    const odd: Extent[] = [
      { offset: 5, length: 1 },
      { offset: 6, length: 100 },
      { offset: 50, length: 10 },
      { offset: 8000, length: 300 },
      { offset: 16384, length: 10 },
      { offset: 24575, length: 1 },
      { offset: 24576, length: 8192 }, // behind the disk: nothing is there
    ]
    assert.ok((await streamOf(dir, vector, { extents: odd })).equals(await vectorStream()))
  }),
)
writing('yields pieces of bounded size', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    await writeFile(path, Buffer.alloc(5 * MIB, 'x'))
    const extents = [{ offset: 0, length: 5 * MIB }]
    const sizes: number[] = []
    for await (const piece of zvolStream({ ...basics, path, bytes: 5 * MIB, extents })) {
      sizes.push(piece.length)
    }
    assert.equal(
      sizes.slice(0, 5),
      Array.from({ length: 5 }, () => MIB),
    )
    assert.ok(sizes.at(-1)! <= MIB)
  }),
)
for (const [name, more, expected] of [
  ['volblocksize', { volblocksize: 1000 }, /volblocksize 1000: a power of two/],
  ['volblocksize', { volblocksize: 262144 }, /volblocksize 262144/],
  ['name', { name: 'pool/vol' }, /named "pool\/vol": it has to be <dataset>@<snapshot>/],
  ['name', { name: `a@${'b'.repeat(300)}` }, /it has to be <dataset>@<snapshot>/],
  ['guid', { guid: 0n }, /guid 0/],
  ['guid', { guid: 1n << 64n }, /guid 18446744073709551616/],
  ['size', { bytes: 0 }, /0 bytes/],
  ['time', { createdAtSeconds: -1 }, /second -1/],
  ['path', { path: '/no/such' }, /^Cannot read "\/no\/such": no such file/],
  ['path', { path: '/' }, /^Cannot read "\/": it is a directory/],
  ['size beyond its end', { bytes: 40_000 }, /ends at byte 24576 of 40000$/],
  ['size beyond its end, in a hole', { bytes: 40_000, extents: [] }, /at byte 24576 of 40000$/],
] as [string, Partial<ZvolSource>, RegExp][]) {
  writing(`refuses a ${name} that can't be: ${expected.source}`, () =>
    inTemporaryDir(async (dir) => {
      const error = await errorOf(() => streamOf(dir, vector, more))
      assert.is(error.name, 'BuildError', error.stack ?? '')
      assert.match(error.message, expected)
    }),
  )
}
for (const [name, extents] of [
  ['in an extent', [0, 4].map((at) => ({ offset: at * MIB, length: MIB }))],
  ['in a hole', [0, 1].map((at) => ({ offset: at * MIB, length: MIB }))],
] as const) {
  writing(`notices a disk that is cut short meanwhile, ${name}`, () =>
    inTemporaryDir(async (dir) => {
      const path = join(dir, 'disk')
      await writeFile(path, Buffer.alloc(5 * MIB, 'x'))
      async function* cutting() {
        yield extents[0]!
        await truncate(path, 3 * MIB)
        yield extents[1]!
      }
      const stream = zvolStream({ ...basics, path, bytes: 5 * MIB, extents: cutting() })
      const error = await errorOf(() => collect(stream))
      assert.match(error.message, /^Cannot read ".*disk": it ends at byte 3145728 of 5242880$/)
    }),
  )
}
writing('does not skip in silence what comes out of order', () =>
  inTemporaryDir(async (dir) => {
    const extents = [16384, 0].map((offset) => ({ offset, length: BLOCK }))
    const error = await errorOf(() => streamOf(dir, vector, { extents }))
    assert.is(error.message, 'Extent of 8192 bytes at 0 comes after one at 16384')
  }),
)
writing.run()
