import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { BuildError } from '../../../lib/cli/errors.ts'
import { editUfs, openUfs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import { cleanState } from '../../../platform/ufs/superblock.ts'
import { errorOf } from '../../temporary.ts'
import { mkufs } from './mkufs.ts'
import { imageDir } from './model.ts'

const { dir, remove } = imageDir()
const image = join(dir, 'image')
mkufs(image, { bytes: 1_400_000, sectorsPerTrack: 64 }, [
  { type: 'file', path: '/etc/passwd', content: Buffer.from('root') },
])
const good = readFileSync(image)
const SUPERBLOCK = 8192

/** The good image with other numbers in its superblock. */
function changed(...fields: [at: number, value: number][]): void {
  const data = Buffer.from(good)
  for (const [at, value] of fields) data.writeInt32LE(value, SUPERBLOCK + at)
  writeFileSync(image, data)
}

/** What editing the image is refused with; reading it too, where `reading`. */
async function refused(reading: boolean): Promise<string> {
  const before = readFileSync(image)
  const error = await errorOf(() => editUfs(image, () => {}))
  assert.instance(error, BuildError, error.stack)
  assert.ok(!error.message.includes('\n'), 'one line')
  assert.ok(error.message.includes(`"${image}"`), error.message)
  assert.ok(readFileSync(image).equals(before), 'the image is as it was')
  if (reading) {
    assert.throws(
      () => openUfs(image),
      (other: Error) => other.message === error.message,
    )
    assert.throws(
      () => fsck(image),
      (other: Error) => other.message === error.message,
    )
  } else openUfs(image).close()
  return error.message
}

const kinds = suite('other file systems')

for (const [name, fields, message] of [
  ['a log', [[1324, 77]], /it has a log \(fs_logbno is 77\)/],
  ['a log to be rolled', [[4, 2]], /fs_rolled is 2/],
  ['4.4BSD, which has other fields there', [[1320, 60]], /fs_version is 60/],
  ['static rotation tables', [[1356, -1]], /fs_postblformat is -1/],
  ['UFS2', [[1372, 0x19540119]], /it is UFS2/],
  ['multi-terabyte UFS', [[1372, 0x00decade]], /multi-terabyte/],
  ['another magic number', [[1372, 0x1234]], /magic number is 0x1234 instead of 0x11954/],
] as [string, [number, number][], RegExp][]) {
  kinds(`refuses ${name}`, async () => {
    changed(...fields)
    assert.match(await refused(true), message)
  })
}
kinds('refuses a logging file system by its state', async () => {
  const data = Buffer.from(good)
  data[SUPERBLOCK + 209] = 0xfd
  writeFileSync(image, data)
  assert.match(await refused(true), /it is logging \(fs_clean is 0xfd\)/)
})
kinds('refuses big-endian images', async () => {
  const data = Buffer.from(good)
  data.subarray(SUPERBLOCK, SUPERBLOCK + 1376).swap32()
  writeFileSync(image, data)
  assert.match(await refused(true), /it is big-endian/)
})
kinds('refuses a compressed archive, and says how to decompress it', async () => {
  writeFileSync(image, gzipSync(good))
  assert.match(await refused(true), /it is compressed with gzip/)
})
kinds('refuses files that are too short', async () => {
  for (const bytes of [0, 1, 8192, 9567]) {
    writeFileSync(image, good.subarray(0, bytes))
    assert.match(await refused(true), new RegExp(`it has only ${bytes} bytes`))
  }
  writeFileSync(image, good)
  truncateSync(image, 9568)
  assert.match(await refused(true), /it is truncated: 9568 bytes of \d+/)
  writeFileSync(image, good.subarray(0, 1_000_000))
  assert.match(await refused(true), /it is truncated: 1000000 bytes of \d+/)
})
kinds('refuses what is no file or not there', async () => {
  assert.match((await errorOf(() => editUfs(dir, () => {}))).message, /not a file|is a directory/)
  const missing = join(dir, 'missing')
  assert.match((await errorOf(() => editUfs(missing, () => {}))).message, /no such file/)
  writeFileSync(image, Buffer.alloc(100_000, 'text'))
  assert.match(await refused(true), /magic number is 0x74786574/)
})
kinds.run()

const state = suite('unclean images')
for (const [name, fields, message] of [
  ['fs_state', [[132, 5]], /it was not unmounted \(fs_state\)/],
  ['a time without its state', [[32, 1]], /it was not unmounted \(fs_state\)/],
  ['counts that are out of date', [[136, 1]], /fs_si is 1/],
  ['totals other than those of the groups', [[196, 3]], /fs_cstotal has 3 blocks/],
] as [string, [number, number][], RegExp][]) {
  state(`can be read, not edited: ${name}`, async () => {
    changed(...fields)
    assert.match(await refused(false), message)
    assert.ok(fsck(image).length > 0)
  })
}
state('can be read, not edited: fs_clean', async () => {
  for (const clean of [0, 0xff, 0xfe, 0xfc, 3]) {
    const data = Buffer.from(good)
    data[SUPERBLOCK + 209] = clean
    writeFileSync(image, data)
    assert.match(await refused(false), new RegExp(`fs_clean is ${clean}`))
  }
})
state('a stable image, 2, is clean', async () => {
  const data = Buffer.from(good)
  data[SUPERBLOCK + 209] = 2
  writeFileSync(image, data)
  await editUfs(image, () => {})
  assert.is(readFileSync(image)[SUPERBLOCK + 209], 2)
  assert.equal(fsck(image), [])
})
state('an edit leaves the image clean, at its own time', async () => {
  writeFileSync(image, good)
  await editUfs(image, () => {}, { nowSeconds: 1500000000 })
  const superblock = readFileSync(image).subarray(SUPERBLOCK)
  assert.is(superblock.readInt32LE(32), 1500000000)
  assert.is(superblock.readUInt32LE(132), cleanState(1500000000))
  assert.is(superblock.readUInt32LE(132), 0x7c269d38 - 1500000000)
})
state.run()

const absurd = suite('absurd superblocks')
for (const at of [
  8, 12, 16, 20, 36, 44, 48, 52, 56, 72, 76, 80, 84, 96, 104, 116, 120, 124, 152, 156, 160, 168,
  172, 180, 184, 188, 1360,
]) {
  absurd(`are refused: the number at ${at}`, async () => {
    for (const value of [0, -1, 0x7fffffff, -0x80000000, 3, 4097, 1 << 20]) {
      if (value === good.readInt32LE(SUPERBLOCK + at)) continue
      changed([at, value])
      const error = await errorOf(async () => {
        const findings = fsck(image)
        if (findings.length > 0) throw new BuildError(findings[0]!) // one that could be true
      })
      assert.instance(error, BuildError, `${value}: ${error.stack}`)
    }
  })
}
absurd.after(remove)
absurd.run()
