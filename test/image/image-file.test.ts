import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestFile, writeImageFile } from '../../lib/image/image-file.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

// Digests of "abc": FIPS 180-4, examples.
const abc = {
  bytes: 3,
  sha1: 'a9993e364706816aba3e25717850c26c9cd0d89d',
  sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
}

const writing = suite('writeImageFile()')
writing('digests what it writes, and tells how far it is', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'x')
    const progress: number[] = []
    const pieces = [Buffer.from('ab'), Buffer.from('c')]
    const onProgress = (bytes: number) => progress.push(bytes)
    assert.equal(await writeImageFile(pieces, path, { onProgress }), { path, ...abc })
    assert.is(await readFile(path, 'utf8'), 'abc')
    assert.equal(progress, [2, 3])
    assert.equal(await readdir(dir), ['x'])
  }),
)
writing('keeps the file that was there until the new one is whole', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'x')
    await writeFile(path, 'old')
    async function* broken() {
      yield Buffer.from('new')
      throw new Error('no more')
    }
    const error = await errorOf(() => writeImageFile(broken(), path))
    assert.is(error.message, 'no more')
    assert.is(await readFile(path, 'utf8'), 'old')
    assert.equal(await readdir(dir), ['x'])
  }),
)
writing('asks for no piece before the one before is written', () =>
  inTemporaryDir(async (dir) => {
    let written = 0
    async function* counting() {
      for (let i = 0; i < 20; i++) {
        assert.is(written, i * 1000)
        yield Buffer.alloc(1000)
      }
    }
    const onProgress = (bytes: number) => (written = bytes)
    await writeImageFile(counting(), join(dir, 'x'), { onProgress })
  }),
)
writing('stops when asked to, ends its input and leaves nothing behind', () =>
  inTemporaryDir(async (dir) => {
    const stop = new AbortController()
    let ended = false
    async function* endless() {
      try {
        for (;;) {
          yield Buffer.alloc(10)
          stop.abort(new Error('enough'))
        }
      } finally {
        ended = true
      }
    }
    const { signal } = stop
    const error = await errorOf(() => writeImageFile(endless(), join(dir, 'x'), { signal }))
    assert.is(error.message, 'enough')
    assert.ok(ended)
    assert.equal(await readdir(dir), [])
  }),
)
writing('says what could not be written', async () => {
  const error = await errorOf(() => writeImageFile([], '/no/such/x'))
  assert.is(error.message, 'Cannot write "/no/such/x": no such file or directory')
})
writing('says that the disk is full', () =>
  inTemporaryDir(async (dir) => {
    // /dev/full takes an open and refuses every write, as a full disk does.
    await symlink('/dev/full', join(dir, 'x.partial'))
    const error = await errorOf(() => writeImageFile([Buffer.alloc(1 << 20)], join(dir, 'x')))
    assert.match(error.message, /^Cannot write ".*\/x": no space left on the device$/)
    assert.match(error.hint ?? '', /Free some space/)
    assert.equal(await readdir(dir), [])
  }),
)
writing.run()

const digesting = suite('digestFile()')
digesting('gives size and digests of a file', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'x')
    await writeFile(path, 'abc')
    assert.equal(await digestFile(path), { path, ...abc })
  }),
)
digesting('says what could not be read', async () => {
  const error = await errorOf(() => digestFile('/no/such/x'))
  assert.is(error.message, 'Cannot read "/no/such/x": no such file or directory')
})
digesting.run()
