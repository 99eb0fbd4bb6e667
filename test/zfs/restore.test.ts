import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { open, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { restoreStream, summarizeStream } from '../../lib/zfs/restore.ts'
import { type Extent, zvolStream } from '../../lib/zfs/write.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'
import { basics, BLOCK, collect, inPieces, streamOf, vectorStream, whole } from './streams.ts'

/** A disk of zeros with stretches of data, and extents that cover them in odd ways. */
function randomDisk(random: Random, bytes: number): { raw: Buffer; extents: Extent[] } {
  const raw = Buffer.alloc(bytes)
  const extents: Extent[] = []
  for (let at = random.below(bytes); at < bytes; at += random.below(bytes)) {
    const data = random.bytes(1 + random.below(Math.min(5000, bytes - at)))
    if (random.below(5) === 0) data.fill(0) // allocated, and empty all the same
    raw.set(data, at)
    // As one extent, or as two that touch.
    const cut = random.below(data.length)
    if (cut > 0 && random.below(2) === 0) {
      extents.push({ offset: at, length: cut }, { offset: at + cut, length: data.length - cut })
    } else extents.push({ offset: at, length: data.length })
    at += data.length
  }
  return { raw, extents }
}

const restoring = suite('restoreStream()')
restoring('brings back random disks in all block sizes', () =>
  inTemporaryDir(async (dir) => {
    const random = new Random(3)
    for (const volblocksize of [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072]) {
      for (let round = 0; round < 4; round++) {
        const { raw, extents } = randomDisk(random, 1 + random.below(12 * volblocksize))
        const path = join(dir, 'restored')
        const stream = await streamOf(dir, raw, { volblocksize, extents })
        const summary = await restoreStream(inPieces(stream, random), path)
        const padding = Buffer.alloc(summary.volumeBytes - raw.length)
        assert.ok(padding.length < volblocksize)
        assert.ok((await readFile(path)).equals(Buffer.concat([raw, padding])))
        assert.is(summary.volblocksize, volblocksize)
        assert.is(summary.guid, basics.guid)
        assert.is(summary.name, basics.name)
        assert.is(summary.createdAtSeconds, basics.createdAtSeconds)
      }
    }
  }),
)
for (const [name, bytes, last] of [
  ['a disk of zeros', 64 * BLOCK, 0],
  ['data in the last block only', 64 * BLOCK, 9],
  ['a single block', BLOCK, 9],
  ['a single byte, rounded up to a block', 1, 9],
] as const) {
  restoring(`brings back ${name}`, () =>
    inTemporaryDir(async (dir) => {
      const raw = Buffer.alloc(bytes)
      raw[bytes - 1] = last
      const path = join(dir, 'restored')
      const summary = await restoreStream(whole(await streamOf(dir, raw)), path)
      const volumeBytes = Math.max(bytes, BLOCK)
      assert.ok((await readFile(path)).equals(Buffer.concat([raw], volumeBytes)))
      assert.is(summary.volumeBytes, volumeBytes)
      assert.is(summary.dataBytes, last ? BLOCK : 0)
      const WRITE = last ? 2 : 1
      assert.equal(summary.records, { BEGIN: 1, OBJECT: 2, FREE: 2, WRITE, FREEOBJECTS: 1, END: 1 })
    }),
  )
}
restoring('brings back data beyond 4 GiB, sparse', () =>
  inTemporaryDir(async (dir) => {
    const bytes = 5 * 1024 ** 3
    const path = join(dir, 'disk')
    const places = [0, 2 ** 32 - 2, bytes - 4] // the second one crosses 4 GiB
    const file = await open(path, 'w')
    await file.truncate(bytes)
    for (const place of places) await file.write('data', place)
    await file.close()
    const extents = places.map((offset) => ({ offset, length: 4 }))
    const stream = await collect(zvolStream({ ...basics, path, bytes, extents }))
    const restored = join(dir, 'restored')
    const { dataBytes } = await restoreStream(whole(stream), restored)
    assert.is(dataBytes, 4 * BLOCK)
    const { size, blocks } = await stat(restored)
    assert.is(size, bytes)
    assert.ok(blocks * 512 < 1024 ** 2, 'no zeros are written')
    const back = await open(restored)
    for (const place of places) {
      const { buffer } = await back.read(Buffer.alloc(4), 0, 4, place)
      assert.is(buffer.toString(), 'data')
    }
    await back.close()
  }),
)
restoring('leaves nothing behind when the stream is bad', () =>
  inTemporaryDir(async (dir) => {
    const stream = await vectorStream()
    const path = join(dir, 'restored')
    await errorOf(() => restoreStream(whole(stream.subarray(0, 15_000)), path))
    assert.equal(await readdir(dir), [])
  }),
)
restoring('stops when asked to, and leaves nothing behind', () =>
  inTemporaryDir(async (dir) => {
    const signal = AbortSignal.abort(new Error('enough'))
    const stream = whole(await vectorStream())
    const error = await errorOf(() => restoreStream(stream, join(dir, 'restored'), { signal }))
    assert.is(error.message, 'enough')
    assert.equal(await readdir(dir), [])
  }),
)
restoring('says where it can not write', async () => {
  const error = await errorOf(() => restoreStream(whole(Buffer.alloc(0)), '/no/such/dir/disk'))
  assert.is(error.message, 'Cannot write "/no/such/dir/disk": no such file or directory')
})
restoring('says that the disk is full', () =>
  inTemporaryDir(async (dir) => {
    // /dev/full takes an open and refuses every write, as a full disk does.
    await symlink('/dev/full', join(dir, 'x.partial'))
    const stream = whole(await vectorStream())
    const error = await errorOf(() => restoreStream(stream, join(dir, 'x')))
    assert.match(error.message, /^Cannot write ".*\/x": no space left on the device$/)
    assert.equal(await readdir(dir), [])
  }),
)
restoring.run()

const summarizing = suite('summarizeStream()')
summarizing('says what a stream holds', async () => {
  assert.equal(await summarizeStream(whole(await vectorStream())), {
    ...basics,
    volblocksize: BLOCK,
    volumeBytes: 3 * BLOCK,
    dataBytes: 2 * BLOCK,
    records: { BEGIN: 1, OBJECT: 2, FREE: 2, WRITE: 3, FREEOBJECTS: 1, END: 1 },
    checksum: '63ab4cc802a/34af9531db34ec/23327a3ee7c38bf8/5704aa09045e952',
  })
})
summarizing.run()
