/** Conversions from and to qcow2, with qemu-img, and of disks that are large and empty. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { needPackages, run, start, workDir } from '../live.ts'
import { Random } from '../random.ts'

needPackages({ 'qemu-img': 'qemu-utils', 'libdeflate-gzip': 'libdeflate-tools' })

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const { dir, remove } = await workDir()
// Where the disk lies for the time being, when there has to be one.
process.env['TMPDIR'] = join(dir, 'tmp')
await mkdir(process.env['TMPDIR'])
const nothingLeft = async () => assert.equal(await readdir(join(dir, 'tmp')), [])
const at = (name: string) => join(dir, name)

async function convert(from: string, to: string, ...options: string[]) {
  const { status, stderr, stdout } = await run('convert-image', [at(from), at(to), ...options])
  assert.is(status, 0, stderr)
  return stdout
}
async function digest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}
const allocated = async (name: string) => (await stat(at(name))).blocks * 512

/** Data of all kinds, here and there on a disk of 3 GiB. */
async function makeDisk(): Promise<void> {
  const random = new Random(7)
  await writeFile(at('disk.raw'), '')
  await truncate(at('disk.raw'), 3 * GIB)
  const file = await open(at('disk.raw'), 'r+')
  for (const offset of [0, 123 * MIB + 4096, 2 * GIB - 4096, 3 * GIB - MIB]) {
    await file.write(random.bytes(MIB), 0, MIB, offset)
    await file.write(Buffer.alloc(MIB / 2, 'text '), 0, MIB / 2, offset - (offset ? MIB : 0))
  }
  await file.close()
}

const live = suite('convert-image')
live.after(remove)
let whole: string
live('a disk of 3 GiB, nearly empty, to qcow2 and dd.gz and back, bit for bit', async () => {
  await makeDisk()
  whole = await digest(at('disk.raw'))
  for (const packed of ['disk.qcow2', 'disk.dd.gz']) {
    const { sha256, sha1, bytes } = JSON.parse(await convert('disk.raw', packed, '--json')) as {
      [key: string]: string | number
    }
    assert.is(sha256, await digest(at(packed)))
    assert.is(execFileSync('sha1sum', [at(packed)], { encoding: 'utf8' }).split(' ')[0], sha1)
    assert.is((await stat(at(packed))).size, bytes)
    assert.ok((bytes as number) < 20 * MIB, `${bytes} bytes`)
    await convert(packed, 'back.raw')
    assert.is(await digest(at('back.raw')), whole, packed)
    assert.ok((await allocated('back.raw')) < 16 * MIB, `${await allocated('back.raw')} bytes`)
    await rm(at('back.raw'))
  }
})
live('qemu-img finds its qcow2 sound, compressed, and the same as the disk', async () => {
  execFileSync('qemu-img', ['check', '-q', at('disk.qcow2')])
  execFileSync('qemu-img', [
    'compare',
    '-q',
    '-f',
    'qcow2',
    '-F',
    'raw',
    at('disk.qcow2'),
    at('disk.raw'),
  ])
  const check = execFileSync('qemu-img', ['check', '--output=json', at('disk.qcow2')], {
    encoding: 'utf8',
  })
  assert.ok((JSON.parse(check) as { 'compressed-clusters': number })['compressed-clusters'] > 0)
})
live('gzip reads its dd.gz', async () => {
  const script = `set -o pipefail; gzip -dc ${at('disk.dd.gz')} | sha256sum`
  assert.is(execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split(' ')[0], whole)
})
live('the same disk gives the same qcow2', async () => {
  await convert('disk.raw', 'again.qcow2')
  assert.is(await digest(at('again.qcow2')), await digest(at('disk.qcow2')))
})
live('every way between qcow2 and the others keeps the disk', async () => {
  await convert('disk.raw', 'disk.zfs.gz')
  for (const path of [
    ['disk.zfs.gz', 'a.qcow2', 'a.dd.gz', 'a.zfs', 'a.raw'],
    ['disk.dd.gz', 'b.qcow2', 'b.zfs.gz', 'b.dd.gz', 'b.raw'],
    ['disk.qcow2', 'c.zfs.gz', 'c.qcow2', 'c.zfs', 'c.dd.gz', 'c.raw'],
  ]) {
    for (const [i, to] of path.slice(1).entries()) await convert(path[i]!, to)
    assert.is(await digest(at(path.at(-1)!)), whole, path.join(' '))
    assert.ok((await allocated(path.at(-1)!)) < 16 * MIB, path.join(' '))
    for (const name of path.slice(1)) await rm(at(name))
  }
  await nothingLeft()
})
live('reads qcow2 of every kind', async () => {
  await writeFile(at('small.raw'), new Random(8).bytes(3 * MIB))
  const raw = await digest(at('small.raw'))
  const make = (name: string, ...options: string[]) =>
    execFileSync('qemu-img', [
      ...['convert', '-f', 'raw', '-O', 'qcow2', ...options, at('small.raw'), at(name)],
    ])
  make('old.qcow2', '-o', 'compat=0.10')
  make('zstd.qcow2', '-c', '-o', 'compression_type=zstd')
  make('large.qcow2', '-o', 'cluster_size=2M,lazy_refcounts=on')
  make('extended.qcow2', '-o', 'extended_l2=on,cluster_size=128k')
  make('base.qcow2')
  execFileSync('qemu-img', [
    ...['create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', at('overlay.qcow2')],
  ])
  for (const name of ['old', 'zstd', 'large', 'extended', 'overlay']) {
    await convert(`${name}.qcow2`, `${name}.raw`)
    assert.is(await digest(at(`${name}.raw`)), raw, name)
  }
})
live('refuses damaged qcow2 in one line, and leaves nothing', async () => {
  const names = (await readdir(dir)).sort()
  const good = await readFile(at('zstd.qcow2'))
  const cut = good.subarray(0, good.length / 2)
  const garbage = Buffer.from(good)
  garbage.fill(0xff, 65536, 5 * 65536)
  const header = Buffer.from(good)
  header.writeUInt32BE(77, 4) // version
  for (const [name, content] of Object.entries({ cut, garbage, header })) {
    await writeFile(at('bad.qcow2'), content)
    for (const to of ['x.raw', 'x.zfs.gz', 'x.dd.gz']) {
      const { status, stderr } = await run('convert-image', [at('bad.qcow2'), at(to)])
      assert.is(status, 1, `${name} to ${to}: ${stderr}`)
      assert.match(stderr, /^Error: .*qemu-img/m, `${name} to ${to}`)
    }
    await rm(at('bad.qcow2'))
  }
  assert.equal((await readdir(dir)).sort(), names)
  await nothingLeft()
})
live('says that the disk is full, and leaves nothing', async () => {
  const small = at('small')
  execFileSync('bash', ['-c', `mkdir ${small} && mount -t tmpfs -o size=2M tmpfs ${small}`])
  try {
    for (const to of ['x.raw', 'x.qcow2', 'x.dd.gz', 'x.zfs']) {
      const from = to === 'x.raw' ? 'base.qcow2' : 'small.raw'
      const { status, stderr } = await run('convert-image', [at(from), join(small, to)])
      assert.is(status, 1, to)
      assert.match(stderr, /No space left on device|no space left on the device/, to)
      assert.equal(await readdir(small), [], to)
    }
  } finally {
    execFileSync('umount', [small])
  }
})
live('an interruption leaves nothing', async () => {
  const names = (await readdir(dir)).sort()
  const { child, outcome, shows } = start('convert-image', [at('disk.dd.gz'), at('x.qcow2')])
  await shows(/Convert the image/)
  setTimeout(() => child.kill('SIGINT'), 300) // an idle machine is through in a second
  assert.is((await outcome).status, 130)
  assert.equal((await readdir(dir)).sort(), names)
  await nothingLeft()
})
live.run()
