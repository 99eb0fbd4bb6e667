import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { differingRanges, type OpenDisk, type Range, union } from '../../lib/compare/byte-ranges.ts'
import { Random } from '../random.ts'
import { inTemporaryDir } from '../temporary.ts'

/** Opened by hand: which parts hold data is qemu-img's knowledge, asked in the live tests. */
async function openBytes(path: string, bytes: Buffer, extents?: Range[]): Promise<OpenDisk> {
  await writeFile(path, bytes)
  const all = { offset: 0, length: bytes.length }
  return { path, bytes: bytes.length, file: await open(path, 'r'), extents: extents ?? [all] }
}

/** Ranges of two disks, whole or regions of them. */
async function rangesOf(
  a: Buffer,
  b: Buffer,
  regions?: { a: Range; b: Range },
  extents?: Range[],
): Promise<Range[]> {
  return inTemporaryDir(async (dir) => {
    const one = await openBytes(join(dir, 'a'), a, extents)
    const other = await openBytes(join(dir, 'b'), b, extents)
    try {
      return await differingRanges(
        { disk: one, region: regions?.a ?? { offset: 0, length: a.length } },
        { disk: other, region: regions?.b ?? { offset: 0, length: b.length } },
      )
    } finally {
      await one.file.close()
      await other.file.close()
    }
  })
}
const MIB = 1024 ** 2

const ranges = suite('differingRanges()')
ranges('finds nothing where nothing is, zeros and holes being the same', async () => {
  const data = Buffer.alloc(3 * MIB + 77, 'data')
  assert.equal(await rangesOf(data, data), [])
  assert.equal(await rangesOf(Buffer.alloc(2 * MIB), Buffer.alloc(2 * MIB)), [])
})
ranges('tells the byte, at the ends of what is read at once as well', async () => {
  for (const at of [0, 511, MIB - 1, MIB, 2 * MIB + 76]) {
    const [a, b] = [Buffer.alloc(2 * MIB + 77), Buffer.alloc(2 * MIB + 77)]
    b[at] = 1
    assert.equal(await rangesOf(a, b), [{ offset: at, length: 1 }], String(at))
    assert.equal(await rangesOf(b, a), [{ offset: at, length: 1 }], String(at))
  }
})
ranges('joins neighbours, and keeps apart what is far', async () => {
  const [a, b] = [Buffer.alloc(MIB), Buffer.alloc(MIB)]
  for (const at of [1000, 1999, 5000, 50_000]) b[at] = 1
  assert.equal(await rangesOf(a, b), [
    { offset: 1000, length: 4001 },
    { offset: 50_000, length: 1 },
  ])
})
ranges('covers every byte that differs, and begins and ends with one', async () => {
  const random = new Random(8)
  for (let n = 0; n < 8; n++) {
    const a = random.bytes(40_000)
    const b = Buffer.from(a)
    for (let i = 0; i <= random.below(9); i++) b[random.below(b.length)]! ^= 1 + random.below(255)
    const found = await rangesOf(a, b)
    const differs = (at: number) => a[at] !== b[at]
    const covered = new Set(
      found.flatMap(({ offset, length }) => Array.from({ length }, (_, i) => offset + i)),
    )
    a.forEach((_, at) => differs(at) && assert.ok(covered.has(at), `byte ${at}`))
    for (const { offset, length } of found) {
      assert.ok(differs(offset) && differs(offset + length - 1), `range at ${offset}`)
    }
  }
})
ranges('counts from the beginning of each region, as far as both go', async () => {
  const data = new Random(3).bytes(10_000)
  const other = Buffer.concat([Buffer.alloc(500), data])
  other[500 + 7000] = data[7000]! ^ 1
  const regions = { a: { offset: 0, length: 10_000 }, b: { offset: 500, length: 9000 } }
  assert.equal(await rangesOf(data, other, regions), [{ offset: 7000, length: 1 }])
  const shorter = { a: { offset: 0, length: 6000 }, b: { offset: 500, length: 9000 } }
  assert.equal(await rangesOf(data, other, shorter), [])
})
ranges('reads only what may hold data, from the middle of an extent as well', async () => {
  const [a, b] = [Buffer.alloc(20_000), Buffer.alloc(20_000, 1)]
  const extents = [
    { offset: 0, length: 1000 },
    { offset: 12_000, length: 8000 },
  ]
  assert.equal(await rangesOf(a, b, undefined, extents), [
    { offset: 0, length: 1000 },
    { offset: 12_000, length: 8000 },
  ])
  const region = { offset: 500, length: 12_000 }
  assert.equal(await rangesOf(a, b, { a: region, b: region }, extents), [
    { offset: 0, length: 500 },
    { offset: 11_500, length: 500 },
  ])
})
ranges('a region that reaches behind the disk reads as zeros there', async () => {
  const region = { offset: 0, length: 2000 }
  const [a, b] = [Buffer.alloc(1000, 1), Buffer.alloc(2000, 1)]
  b.fill(0, 1000)
  assert.equal(await rangesOf(a, b, { a: region, b: region }), [])
  b[1500] = 1
  assert.equal(await rangesOf(a, b, { a: region, b: region }), [{ offset: 1500, length: 1 }])
})
ranges.run()

const unions = suite('union()')
unions('joins what overlaps or touches, and ends at the end', () => {
  const a = [
    { offset: 0, length: 10 },
    { offset: 40, length: 20 },
  ]
  const b = [
    { offset: 5, length: 10 },
    { offset: 15, length: 5 },
    { offset: 55, length: 100 },
  ]
  assert.equal(union([a, b], 100), [
    { offset: 0, length: 20 },
    { offset: 40, length: 60 },
  ])
  assert.equal(union([[{ offset: 200, length: 1 }], []], 100), [])
})
unions.run()
