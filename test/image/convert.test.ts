/** Conversions by our own readers and writers; those with qcow2 are in convert.live.ts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { convertImage } from '../../lib/image/convert.ts'
import { compressionOf, convertWords, parseProgress } from '../../lib/image/qcow2.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const MIB = 1024 ** 2
const command = fileURLToPath(new URL('../../bin/convert-image', import.meta.url))

/** A disk of 24 MiB, more than a chunk of which is a hole, and its content. */
async function makeDisk(dir: string): Promise<Buffer> {
  const raw = Buffer.alloc(24 * MIB)
  raw.set(new Random(4).bytes(50_000), 123_456)
  raw.set(new Random(5).bytes(5000), 20 * MIB + 1)
  const path = join(dir, 'disk.raw')
  await writeFile(path, '')
  await truncate(path, raw.length)
  execFileSync('dd', [`of=${path}`, 'conv=sparse,notrunc', 'bs=4096'], {
    input: raw,
    stdio: 'pipe',
  })
  return raw
}
const converter = (dir: string) => (from: string, to: string) =>
  convertImage(join(dir, from), join(dir, to), 8192, () => {})

const converting = suite('convertImage()')
converting('goes from each format to each other, bit for bit', () =>
  inTemporaryDir(async (dir) => {
    const raw = await makeDisk(dir)
    const convert = converter(dir)
    const formats = ['raw', 'zfs', 'zfs.gz', 'dd.gz'] as const
    for (const to of formats.slice(1)) await convert('disk.raw', `disk.${to}`)
    for (const from of formats) {
      for (const to of formats.filter((one) => one !== from)) {
        await convert(`disk.${from}`, `there.${to}`)
        if (to !== 'raw') await convert(`there.${to}`, 'there.raw')
        assert.ok((await readFile(join(dir, 'there.raw'))).equals(raw), `${from} to ${to}`)
        const { blocks } = await stat(join(dir, 'there.raw'))
        assert.ok(blocks * 512 < MIB, `${from} to ${to}: ${blocks * 512} bytes allocated`)
      }
    }
  }),
)
converting('makes a dd.gz that gzip reads, of the same bytes each time, with its digests', () =>
  inTemporaryDir(async (dir) => {
    const raw = await makeDisk(dir)
    const convert = converter(dir)
    const { bytes, sha1, sha256, from, to } = await convert('disk.raw', 'a.dd.gz')
    assert.equal({ from, to }, { from: 'raw', to: 'dd.gz' })
    const packed = await readFile(join(dir, 'a.dd.gz'))
    assert.ok(gunzipSync(packed).equals(raw))
    assert.is(bytes, packed.length)
    assert.is(sha1, createHash('sha1').update(packed).digest('hex'))
    assert.is(sha256, createHash('sha256').update(packed).digest('hex'))
    // By way of a stream, which has no extents but its blocks, the same disk is packed the same.
    await convert('disk.raw', 'a.zfs')
    await convert('a.zfs', 'b.dd.gz')
    assert.ok(gunzipSync(await readFile(join(dir, 'b.dd.gz'))).equals(raw))
  }),
)
converting('keeps a size that is no multiple of anything', () =>
  inTemporaryDir(async (dir) => {
    const raw = new Random(6).bytes(100_001)
    await writeFile(join(dir, 'disk.raw'), raw)
    const convert = converter(dir)
    await convert('disk.raw', 'disk.dd.gz')
    await convert('disk.dd.gz', 'back.raw')
    assert.ok((await readFile(join(dir, 'back.raw'))).equals(raw))
  }),
)
converting('reads a gzip file of another program', () =>
  inTemporaryDir(async (dir) => {
    const raw = await makeDisk(dir)
    await writeFile(join(dir, 'other.gz'), gzipSync(raw))
    await converter(dir)('other.gz', 'back.raw')
    assert.ok((await readFile(join(dir, 'back.raw'))).equals(raw))
  }),
)
converting('packs a stream as it is, and gives it back', () =>
  inTemporaryDir(async (dir) => {
    await makeDisk(dir)
    const convert = converter(dir)
    await convert('disk.raw', 'a.zfs.gz')
    await convert('a.zfs.gz', 'a.zfs')
    await convert('a.zfs', 'again.zvol.gz')
    const read = (name: string) => readFile(join(dir, name))
    assert.ok((await read('a.zfs')).equals(gunzipSync(await read('a.zfs.gz'))))
    assert.ok((await read('again.zvol.gz')).equals(await read('a.zfs.gz')))
  }),
)
converting('refuses what makes no sense, and leaves nothing', () =>
  inTemporaryDir(async (dir) => {
    await makeDisk(dir)
    const convert = converter(dir)
    await convert('disk.raw', 'image.zfs.gz')
    await convert('disk.raw', 'image.dd.gz')
    const before = await readdir(dir)
    const fails = async (from: string, to: string) =>
      (await errorOf(() => convert(from, to))).message
    assert.match(await fails('disk.raw', 'x.raw'), /it is raw already/)
    assert.match(await fails('image.dd.gz', 'x.img.gz'), /it is dd\.gz already/)
    assert.match(await fails('disk.raw', 'x.vmdk'), /Cannot tell the format of ".*x\.vmdk"/)
    assert.match(await fails('none', 'x.raw'), /Cannot read ".*none": no such file/)
    for (const to of ['x.zfs.gz', 'x.dd.gz', 'x.zfs']) {
      assert.match(await fails('disk.raw', `no/such/${to}`), /Cannot write ".*no\/such.*": no such/)
    }
    assert.match(await fails('image.zfs.gz', 'no/such/x.raw'), /Cannot write ".*x\.raw": no such/)
    const tar = Buffer.alloc(1024)
    tar.write('ustar', 257)
    for (const [name, content, expected] of [
      ['cut.zfs.gz', (await readFile(join(dir, 'image.zfs.gz'))).subarray(0, 20_000), /is cut off/],
      ['cut.dd.gz', (await readFile(join(dir, 'image.dd.gz'))).subarray(0, -9), /is cut off/],
      ['x.tar.gz', gzipSync(tar), /it holds files, and no disk to boot from$/],
    ] as const) {
      await writeFile(join(dir, name), content)
      for (const to of ['x.raw', 'x.zfs', name.endsWith('dd.gz') ? 'x.zfs.gz' : 'x.dd.gz']) {
        assert.match(await fails(name, to), expected)
      }
      await rm(join(dir, name))
    }
    const damaged = await readFile(join(dir, 'image.dd.gz'))
    damaged[damaged.length - 6]! ^= 1 // of the last member's checksum
    await writeFile(join(dir, 'bad.dd.gz'), damaged)
    assert.match(await fails('bad.dd.gz', 'x.raw'), /Cannot decompress .*: its content is damaged/)
    await rm(join(dir, 'bad.dd.gz'))
    assert.equal(await readdir(dir), before)
  }),
)
converting('as a command: the path, or JSON with digests; status 2 for a name that is none', () =>
  inTemporaryDir(async (dir) => {
    await makeDisk(dir)
    const run = (...args: string[]) => spawnSync(command, args, { encoding: 'utf8', cwd: dir })
    const good = run('disk.raw', 'a.dd.gz')
    assert.is(good.status, 0, good.stderr)
    assert.is(good.stdout, 'a.dd.gz\n')
    assert.match(good.stderr, /^raw to dd\.gz, \d+ bytes$/m)
    assert.match(good.stderr, /^sha1 [0-9a-f]{40}, sha256 [0-9a-f]{64}$/m)
    const json = JSON.parse(run('a.dd.gz', 'b.zfs.gz', '--json').stdout) as { sha256: string }
    assert.match(json.sha256, /^[0-9a-f]{64}$/)
    assert.is(run('disk.raw', 'x.vmdk').status, 2)
  }),
)
converting.run()

const words = suite('convertWords(), parseProgress()')
const raw = { path: '/a:b/disk', format: 'raw' } as const
const qcow2 = { path: '/c/x.qcow2', format: 'qcow2' } as const
words('names both formats, absolute paths, and what each needs', () => {
  const [to, from] = [convertWords(raw, qcow2), convertWords(qcow2, raw)]
  assert.is(to.join(' '), 'qemu-img convert -p -f raw -O qcow2 -c /a:b/disk /c/x.qcow2')
  assert.is(from.join(' '), 'qemu-img convert -p -f qcow2 -O raw -S 4k /c/x.qcow2 /a:b/disk')
  assert.ok(convertWords({ ...raw, path: 'nbd:x' }, qcow2).includes(join(process.cwd(), 'nbd:x')))
})
words('reads how far qemu-img is', () => {
  assert.is(parseProgress('    (25.00/100%)'), 0.25)
  assert.is(parseProgress('qemu-img: error'), undefined)
})
words('packs as it is told', () => {
  const [zstd, none] = [
    convertWords(raw, qcow2, 'zstd').join(' '),
    convertWords(raw, qcow2, 'none').join(' '),
  ]
  assert.match(zstd, / -c -o compression_type=zstd /)
  assert.not.match(none, / -c /)
  assert.is(compressionOf(undefined), 'zlib')
  assert.is(compressionOf('none'), 'none')
})
words.run()
