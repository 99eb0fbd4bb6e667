/** Platforms, and images of their file systems, that somebody made to do harm. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { extractPlatform, openTarball } from '../../platform/tarball.ts'
import { bootProperty, syslinuxConfig } from '../../platform/usb-key.ts'
import { editUfsInPlace, openUfs } from '../../platform/ufs/edit.ts'
import { parseSuperblock, SUPERBLOCK_AT } from '../../platform/ufs/superblock.ts'
import { anyBytes, anyText, damaged, fc, holds, soon, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'
import { writeTarball } from './platform-tarball.ts'
import { mkufs, type Given } from './ufs/mkufs.ts'

const ARCHIVE = Buffer.concat([Buffer.alloc(3000, 'a'), Buffer.alloc(70_000), Buffer.from('end')])
const WANTED = [
  'i86pc/kernel/amd64/unix',
  'i86pc/amd64/boot_archive',
  'i86pc/amd64/boot_archive.hash',
  'etc/version/platform',
]

async function take(bytes: Buffer, dir: string, look: (into: string) => Promise<void>) {
  const path = join(dir, 'p.tgz')
  const into = join(dir, 'into')
  await writeFile(path, bytes)
  await rm(into, { recursive: true, force: true })
  await mkdir(into)
  return told(async () => {
    const { stream, shown, close } = await openTarball(path)
    try {
      const found = await extractPlatform(stream, shown, into)
      const archive = await readFile(found.archive)
      assert.is(archive.length, found.archiveBytes)
      await look(into)
    } finally {
      await close()
    }
  })
}

const tarball = await inTemporaryDir(async (dir) => {
  const contents = ['ELF', ARCHIVE, `${createHash('sha1').update(ARCHIVE).digest('hex')}\n`, 'x\n']
  await writeTarball(
    join(dir, 'x'),
    WANTED.map((name, i) => ({ name: `platform-1/${name}`, content: contents[i]! })),
  )
  return readFile(join(dir, 'x'))
})
const plain = gunzipSync(tarball)

const geometry = { bytes: 1_000_000, nowSeconds: 1000 }
const depth = 24
const image = await inTemporaryDir(async (dir) => {
  const given: Given[] = [{ type: 'file', path: '/etc/x', content: Buffer.from('x') }]
  let path = ''
  for (let i = 0; i < depth; i++) {
    given.push({ type: 'directory', path: `${path}/d` })
    given.push({ type: 'link', path: `${path}/e`, to: `${path}/d` })
    path += '/d'
  }
  mkufs(join(dir, 'image'), geometry, given)
  return readFileSync(join(dir, 'image'))
})

const someEntry = fc.tuple(
  fc.oneof(
    fc.constantFrom(
      ...WANTED.map((name) => `platform-1/${name}`),
      ...WANTED,
      '../x',
      '/etc/x',
      'platform-1/../../x',
      './platform-1/y',
      'platform-2/z',
      '.',
      '..',
    ),
    anyText(12).filter((name) => name !== '' && !name.includes('\0')),
  ),
  fc.oneof(
    anyBytes(40),
    anyBytes(40).map((bytes) => gzipSync(bytes)),
    anyBytes(40).chain((bytes) => damaged(gzipSync(bytes))),
    fc.constant(Buffer.from([0x1f, 0x8b])),
  ),
)
const tarballs = suite('the tarball of a platform')
tarballs('that is damaged, packed or inside, is refused or what it was', () =>
  inTemporaryDir((dir) =>
    holds(
      80,
      fc.oneof(
        damaged(tarball),
        damaged(plain, 2).map((tar) => gzipSync(tar, { level: 1 })),
        anyBytes(60),
      ),
      async (bytes) => {
        await take(bytes, dir, async (into) => {
          assert.ok((await readFile(join(into, 'archive'))).equals(ARCHIVE))
        })
        assert.ok((await readdir(dir)).every((name) => ['p.tgz', 'into'].includes(name)))
      },
    ),
  ),
)
tarballs('with any entries is a platform, or refused', () =>
  inTemporaryDir((dir) =>
    holds(
      50,
      fc.tuple(fc.array(someEntry, { maxLength: 3 }), fc.boolean()),
      async ([more, whole]) => {
        const base = whole
          ? WANTED.slice(0, 2).map((name) => [`platform-1/${name}`, ARCHIVE] as const)
          : []
        const path = join(dir, 'made')
        await writeTarball(
          path,
          [...base, ...more].map(([name, content]) => ({ name, content })),
        )
        const error = await take(await readFile(path), dir, async (into) => {
          assert.ok(
            (await readdir(into)).every((name) =>
              ['unix', 'archive', 'hash', 'stamp'].includes(name),
            ),
          )
        })
        if (error) assert.match(error.message, /^Cannot (use|read) ".*p\.tgz/)
        assert.ok((await readdir(dir)).every((name) => ['made', 'p.tgz', 'into'].includes(name)))
      },
    ),
  ),
)
tarballs('may be in a zip file, which is one or refused', () =>
  inTemporaryDir((dir) =>
    holds(
      40,
      anyBytes(120).map((bytes) => Buffer.concat([Buffer.from('PK\x03\x04'), bytes])),
      async (bytes) => {
        assert.ok(await take(bytes, dir, async () => {}))
      },
    ),
  ),
)
tarballs.run()

const volumes = suite('a file system of UFS')
volumes('in which each directory has two names does not take for ever', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'image')
    await writeFile(path, image)
    const ufs = openUfs(path)
    try {
      assert.is(ufs.readFile('/etc/x').toString(), 'x')
      const error = await soon(() => told(() => [...ufs.walk()]), 2)
      assert.match(error!.message, /in two places/)
    } finally {
      ufs.close()
    }
    await soon(() => told(() => editUfsInPlace(path, (edited) => edited.removeTree('/d'))), 2)
  }),
)
const FIELDS = Array.from({ length: 344 }, (_, i) => 4 * i)
const EXTREMES = [
  0,
  1,
  -1,
  2,
  7,
  8,
  512,
  1024,
  4096,
  8192,
  16384,
  2 ** 15,
  2 ** 16,
  2 ** 30,
  2 ** 31 - 1,
  -(2 ** 31),
]
volumes('whose superblock lies is opened in bounds, or refused', () =>
  holds(
    400,
    fc.array(
      fc.tuple(fc.constantFrom(...FIELDS), fc.oneof(fc.constantFrom(...EXTREMES), fc.integer())),
      { minLength: 1, maxLength: 4 },
    ),
    async (lies) => {
      const head = Buffer.from(image.subarray(0, 65536 + 8192))
      for (const [at, value] of lies) head.writeInt32LE(value, SUPERBLOCK_AT + at)
      await soon(
        () =>
          told(() => {
            const s = parseSuperblock(head, image.length, 'x')
            assert.ok(s.fragments * s.fragmentBytes <= image.length)
            assert.ok(s.groups * s.fragmentsPerGroup >= s.fragments && s.groups < 2 ** 20)
            assert.ok(s.inodesPerGroup > 0 && s.dataAt <= s.fragmentsPerGroup)
          }),
        3,
      )
    },
  ),
)
volumes.run()

const keys = suite('what a platform boots with')
keys('is a line for each entry, or refused', () =>
  holds(
    100,
    fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.string({ maxLength: 900 })), {
      minLength: 1,
      maxLength: 3,
    }),
    async (entries) => {
      await told(() => {
        const config = syslinuxConfig({
          bytes: 0,
          files: new Map(),
          kernel: '/unix',
          archive: '/archive',
          entries: entries.map(([name, value]) => ({
            name,
            title: name,
            properties: [bootProperty(name, value)],
          })),
          epochSeconds: 0,
        })
        assert.ok(config.split('\n').every((line) => line.length <= 2000))
      })
    },
  ),
)
keys.run()
