import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { formatOfContent, formatOfName } from '../../lib/image/formats.ts'
import { MAGIC } from '../../lib/zfs/records.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const stream = Buffer.alloc(400)
stream.writeBigUInt64LE(MAGIC, 8)
const bigEndian = Buffer.alloc(400)
bigEndian.writeBigUInt64BE(MAGIC, 8)
const tar = Buffer.alloc(1024)
tar.write('ustar', 257)
const disk = new Random(9).bytes(100_000)
const qcow2 = Buffer.from('QFI\xfb and more than sixteen', 'latin1')

const names = suite('formatOfName()')
for (const [name, expected] of [
  ['a.zfs.gz', 'zfs.gz'],
  ['a.zvol.gz', 'zfs.gz'],
  ['a.zfs', 'zfs'],
  ['a.zvol', 'zfs'],
  ['a.raw', 'raw'],
  ['a.img', 'raw'],
  ['a.qcow2', 'qcow2'],
  ['custom-ubuntu-lvm.dd.gz', 'dd.gz'],
  ['a.raw.gz', 'dd.gz'],
  ['a.img.gz', 'dd.gz'],
  ['a.ddgz', 'dd.gz'],
  ['custom-cloudimg.tar.gz', 'tgz'],
  ['a.tgz', 'tgz'],
] as const) {
  names(`${name} is ${expected}`, () => assert.is(formatOfName(name), expected))
}
names('refuses names that do not tell', () => {
  for (const name of ['a.gz', 'a', 'a.vmdk', 'raw', 'a.qcow2.gz']) {
    assert.throws(() => formatOfName(name), /Cannot tell the format/, name)
  }
})
names.run()

const contents = suite('formatOfContent()')
for (const [what, bytes, expected] of [
  ['a stream', stream, 'zfs'],
  ['a stream of the other byte order', bigEndian, 'zfs'],
  ['a gzipped stream', gzipSync(stream), 'zfs.gz'],
  ['a gzipped disk', gzipSync(disk), 'dd.gz'],
  ['a gzipped disk that begins with zeros', gzipSync(Buffer.alloc(10_000_000)), 'dd.gz'],
  ['a gzipped disk of ten bytes', gzipSync(Buffer.alloc(10)), 'dd.gz'],
  ['a gzipped tar', gzipSync(tar), 'tgz'],
  ['qcow2', qcow2, 'qcow2'],
  ['anything else', Buffer.from('a disk with some content'), 'raw'],
  ['a few bytes', Buffer.from('a'), 'raw'],
] as const) {
  contents(`knows ${what}, whatever its name`, () =>
    inTemporaryDir(async (dir) => {
      await writeFile(join(dir, 'x.zfs.gz'), bytes)
      assert.is(await formatOfContent(join(dir, 'x.zfs.gz')), expected)
    }),
  )
}
for (const [bytes, expected] of [
  [Buffer.alloc(0), /Cannot read ".*": it is empty/],
  [Buffer.from('\x28\xb5\x2f\xfd, compressed data', 'latin1'), /it holds Zstandard data/],
  [Buffer.from('KDMV and so on'), /it holds a VMDK image/],
  [tar, /it holds a tar archive/],
  [gzipSync(qcow2), /it holds a gzipped qcow2 image/],
  [gzipSync(Buffer.alloc(0)), /Cannot decompress .*: it is cut off, or holds nothing/],
  [gzipSync(disk).subarray(0, 12), /Cannot decompress .*: it is cut off/],
  [Buffer.from([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9]), /Cannot decompress .*: its content is damaged/],
] as [Buffer, RegExp][]) {
  contents(`refuses: ${expected.source}`, () =>
    inTemporaryDir(async (dir) => {
      await writeFile(join(dir, 'x.raw'), bytes)
      assert.match((await errorOf(() => formatOfContent(join(dir, 'x.raw')))).message, expected)
    }),
  )
}
contents.run()
