import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Block,
  type Blocks,
  fileBlocks,
  flatten,
  isFiller,
  piecesAsBlocks,
  writeSparse,
} from '../../lib/disk/blocks.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const KIB = 1024
const MIB = KIB ** 2

async function* blocksOf(blocks: Block[], bytes: number): Blocks {
  yield* blocks
  return bytes
}
const random = new Random(5)
/** A disk with data here and there, and all of it. */
function someDisk(bytes: number) {
  const whole = Buffer.alloc(bytes)
  const blocks: Block[] = []
  for (let at = random.below(30_000); at < bytes;) {
    const data = random.bytes(Math.min(1 + random.below(50_000), bytes - at))
    blocks.push({ offset: at, data })
    whole.set(data, at)
    at += data.length + random.below(2 * MIB)
  }
  return { whole, blocks }
}

const flat = suite('flatten()')
flat('is the whole disk, with zeros between the blocks and behind them', async () => {
  for (const bytes of [1, 4095, MIB, 5 * MIB + 17]) {
    const { whole, blocks } = someDisk(bytes)
    const pieces: Buffer[] = []
    for await (const piece of flatten(blocksOf(blocks, bytes))) pieces.push(piece)
    assert.ok(Buffer.concat(pieces).equals(whole), `${bytes}`)
  }
})
flat('marks what no block covers, for who compresses it', async () => {
  const data = Buffer.alloc(10)
  const pieces: boolean[] = []
  for await (const piece of flatten(blocksOf([{ offset: MIB, data }], 2 * MIB))) {
    pieces.push(isFiller(piece))
  }
  assert.equal(pieces, [true, false, true])
})
flat('ends its input when the reader stops', async () => {
  let ended = false
  async function* endless(): Blocks {
    try {
      for (let offset = 0; ; offset += 10) yield { offset, data: Buffer.alloc(10) }
    } finally {
      ended = true
    }
  }
  for await (const piece of flatten(endless())) {
    assert.is(piece.length, 10)
    break
  }
  assert.ok(ended)
})
flat.run()

const sparse = suite('writeSparse()')
sparse('writes the disk bit for bit, whatever the blocks', () =>
  inTemporaryDir(async (dir) => {
    for (const bytes of [1, 4096, 3 * MIB, 5 * MIB + 17]) {
      const { whole, blocks } = someDisk(bytes)
      assert.is(await writeSparse(blocksOf(blocks, bytes), join(dir, 'disk')), bytes)
      assert.ok((await readFile(join(dir, 'disk'))).equals(whole), `${bytes}`)
    }
    assert.equal(await readdir(dir), ['disk'])
  }),
)
sparse('leaves out zeros that come as data', () =>
  inTemporaryDir(async (dir) => {
    const data = Buffer.alloc(8 * MIB)
    data[3 * MIB + 5] = 1
    await writeSparse(blocksOf([{ offset: 100, data }], 64 * MIB), join(dir, 'disk'))
    const { size, blocks } = await stat(join(dir, 'disk'))
    assert.is(size, 64 * MIB)
    assert.ok(blocks * 512 <= 64 * KIB, `${blocks * 512} bytes`)
    assert.is((await readFile(join(dir, 'disk')))[3 * MIB + 105], 1)
  }),
)
sparse('leaves nothing when its input fails, and says what could not be written', () =>
  inTemporaryDir(async (dir) => {
    async function* broken(): Blocks {
      yield { offset: 0, data: Buffer.alloc(10, 1) }
      throw new Error('no more')
    }
    assert.is((await errorOf(() => writeSparse(broken(), join(dir, 'x')))).message, 'no more')
    assert.equal(await readdir(dir), [])
    await symlink('/dev/full', join(dir, 'x.partial'))
    const full = blocksOf([{ offset: 0, data: Buffer.alloc(10, 1) }], 10)
    const { message } = await errorOf(() => writeSparse(full, join(dir, 'x')))
    assert.match(message, /^Cannot write ".*\/x": no space left on the device$/)
    assert.equal(await readdir(dir), [])
  }),
)
sparse('stops when asked to', () =>
  inTemporaryDir(async (dir) => {
    const stop = new AbortController()
    async function* endless(): Blocks {
      for (let offset = 0; ; offset += 10) {
        yield { offset, data: Buffer.alloc(10, 1) }
        stop.abort(new Error('enough'))
      }
    }
    const { signal } = stop
    const error = await errorOf(() => writeSparse(endless(), join(dir, 'x'), { signal }))
    assert.is(error.message, 'enough')
    assert.equal(await readdir(dir), [])
  }),
)
sparse.run()

const reading = suite('fileBlocks(), piecesAsBlocks()')
reading('gives what the extents hold, and the size of all', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    const whole = random.bytes(3 * MIB + 5)
    await writeFile(path, whole)
    const blocks = fileBlocks(path, [
      { offset: 10, length: 2 * MIB },
      { offset: 3 * MIB, length: MIB }, // as far as the file goes
    ])
    const found: Block[] = []
    let next = await blocks.next()
    for (; !next.done; next = await blocks.next()) found.push(next.value)
    assert.is(next.value, whole.length)
    assert.equal(
      found.map(({ offset }) => offset),
      [10, 10 + MIB, 3 * MIB],
    )
    for (const { offset, data } of found) {
      assert.ok(data.equals(whole.subarray(offset, offset + data.length)))
    }
    assert.is(found.at(-1)!.data.length, 5)
  }),
)
reading('notices a file that shrinks', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    await writeFile(path, Buffer.alloc(2 * MIB, 1))
    const blocks = fileBlocks(path, [{ offset: 0, length: MIB }])
    await blocks.next()
    await truncate(path, MIB)
    assert.match((await errorOf(() => blocks.next())).message, /it ends at byte 1048576 of 2097152/)
  }),
)
reading('takes pieces for neighbours', async () => {
  async function* pieces() {
    yield Buffer.alloc(3)
    yield Buffer.alloc(4)
  }
  const blocks = piecesAsBlocks(pieces())
  const offsets: (number | Block)[] = []
  for (let next = await blocks.next(); ; next = await blocks.next()) {
    offsets.push(next.done ? next.value : next.value.offset)
    if (next.done) break
  }
  assert.equal(offsets, [0, 3, 7])
})
reading.run()
