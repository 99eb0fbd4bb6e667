/**
 * The same bytes of the same inputs (of a root tar: maas.images.ts): by a lock, in another directory, with another cache,
 * by another release of Node, in memory or on the disk. What of an earlier build is taken: reused.live.ts.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseLock } from '../../lib/packages/lock.ts'
import { build, type Built, placeOf } from '../builds.ts'
import { machineMirrors, run, warmCache, workDir } from '../live.ts'
import { pathWithNode } from '../newer-node.ts'

const { dir, remove } = await workDir()
const here = await placeOf(join(dir, 'here'))
const there = await placeOf(join(dir, 'there'))

const readManifest = async ({ manifest }: Built) =>
  JSON.parse(await readFile(manifest, 'utf8')) as {
    uuid: string
    version: string
    published_at: string
  }

const reproducing = suite('the same inputs')
reproducing.after(remove)

let first: Built
reproducing('are written down: packages by digest, and the date of the newest', async () => {
  await warmCache(join(dir, 'here/cache')) // the packages were installed by another build
  first = await build(here)
  assert.match(first.said, /^Take the packages of an earlier build: /m)
  const lock = parseLock(await readFile(first.lock, 'utf8'), first.lock)
  assert.ok(lock.packages.length > 200)
  assert.ok(lock.sources.every(({ sha256, date }) => sha256 && date))
  assert.ok(lock.epoch < Date.now() / 1000 && lock.epoch > Date.parse('2023-06-10') / 1000)
  const { version, published_at: published } = await readManifest(first)
  assert.is(Date.parse(published) / 1000, lock.epoch)
  assert.is(version, published.slice(0, 10).replaceAll('-', ''))
})
reproducing('leave no date of the build in the image', async () => {
  const raw = join(dir, 'disk.raw')
  assert.is((await run('convert-image', [first.image.path, raw])).status, 0)
  const { epoch } = parseLock(await readFile(first.lock, 'utf8'), first.lock)
  const debugfs = (request: string) =>
    execFileSync('debugfs', ['-R', request, `${raw}?offset=${266240 * 512}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TZ: 'UTC' },
    })
  const hex = epoch.toString(16)
  for (const path of ['/etc/passwd', '/usr/bin/bash', '/boot/grub/grub.cfg', '/']) {
    const stat = debugfs(`stat ${path}`)
    assert.match(stat, new RegExp(`ctime: 0x${hex}:00000000`), path)
    assert.match(stat, new RegExp(`atime: 0x${hex}:00000000`), path)
  }
  // Days since 1970 that passwords were changed on.
  const days = new Set(
    debugfs('cat /etc/shadow')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(':')[2]),
  )
  assert.equal([...days], [String(Math.floor(epoch / 86400))])
})
reproducing('give the image of before, when nothing has changed', async () => {
  const again = await build(here)
  assert.is(again.image.sha1, first.image.sha1)
  assert.match(again.said, /^Take the image of an earlier build: /m)
  assert.not.match(again.said, /^(Install packages|Set up the system|Write the image)$/m)
})
reproducing('give the same bytes at another place, on a disk, by the lock', async () => {
  const more = ['--locked', first.lock, '--work', 'disk']
  const env = {
    TZ: 'Pacific/Auckland',
    LANG: 'de_DE.UTF-8',
    HOME: join(dir, 'there'),
    PATH: pathWithNode(24, dir),
    // Of scripts in the guest, and of programs of this machine.
    MIRROR: 'http://mirror.invalid/debian',
    COMPRESSLEVEL: '1',
    TAR_OPTIONS: '--mtime=@0',
  }
  const second = await build(there, more, env)
  assert.match(second.said, /^Install packages: /m)
  assert.is(second.image.sha1, first.image.sha1)
  assert.is((await readManifest(second)).uuid, (await readManifest(first)).uuid)
})
reproducing(
  'give the same bytes with a date in the future, of everything that is made',
  async () => {
    const env = { SOURCE_DATE_EPOCH: '2000000000' }
    const [one, two] = [await build(here, [], env), await build(there, [], env)]
    assert.is(one.image.sha1, two.image.sha1)
    assert.is.not(one.image.sha1, first.image.sha1)
    assert.is((await readManifest(one)).version, '20330518')
    assert.match(one.said, /^Take the packages of an earlier build: /m)
  },
)
reproducing('are an archive’s at a time, which its addresses name', async () => {
  const main = machineMirrors()[1]
  assert.ok(main, 'this machine names its mirror')
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url!)
    response.writeHead(302, { location: request.url!.replace(/^\/\d{8}T\d{6}Z/, main) }).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/{snapshot}`
    const words = ['12', 'fetch', ...here.words.slice(0, 4), '--mirror', url]
    const more = ['--security-mirror', 'none', '--snapshot', '20261101T000000Z']
    const { status, stderr } = await run('create-image-debian', [...words, ...more], {
      env: here.env,
    })
    assert.is(status, 0, stderr)
    assert.ok(asked.length > 2 && asked.every((path) => path.startsWith('/20261101T000000Z/')))
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
reproducing.run()
