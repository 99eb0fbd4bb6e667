import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { extractPlatform, openTarball } from '../../platform/tarball.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'
import { type TarEntry, writeTarball } from './platform-tarball.ts'

const sha1 = (data: Buffer) => createHash('sha1').update(data).digest('hex')
/** Data with a hole, and a length that is no whole block. */
const ARCHIVE = Buffer.concat([
  Buffer.alloc(70_000, 'a'),
  Buffer.alloc(900_000),
  Buffer.from('end'),
])

/** A platform, with changes: undefined leaves a file out. */
function platform(changes: Record<string, Buffer | string | undefined> = {}, top = 'platform-1') {
  const files: Record<string, Buffer | string | undefined> = {
    'root.password': 'secret\n',
    'i86pc/kernel/amd64/unix': 'ELF joyent_20130506T233003Z',
    'i86pc/amd64/boot_archive': ARCHIVE,
    'i86pc/amd64/boot_archive.hash': `${sha1(ARCHIVE)}\n`,
    'etc/version/platform': '20130506T233003Z\n',
    ...changes,
  }
  return Object.entries(files).flatMap(([name, content]): TarEntry[] =>
    content === undefined ? [] : [{ name: `${top}/${name}`, content }],
  )
}

type Outcome = Awaited<ReturnType<typeof extractPlatform>>
async function extracted(
  entries: readonly TarEntry[],
  look: (found: Outcome, into: string) => Promise<void> = async () => {},
  damage: (path: string) => Promise<void> = async () => {},
): Promise<string> {
  return inTemporaryDir(async (dir) => {
    const path = join(dir, 'p.tgz')
    const into = join(dir, 'into')
    await mkdir(into)
    await writeTarball(path, entries)
    await damage(path)
    const { stream, close } = await openTarball(path)
    try {
      return await refusal(
        extractPlatform(stream, 'p.tgz', into).then((found) => look(found, into)),
      )
    } catch {
      return ''
    } finally {
      await close()
    }
  })
}

const extracting = suite('extractPlatform()')
extracting('takes kernel and archive, and never the password', async () => {
  let looked = false
  await extracted(platform(), async (found, into) => {
    assert.is(found.directory, 'platform-1')
    assert.is(found.stamp, '20130506T233003Z')
    assert.is(found.archiveBytes, ARCHIVE.length)
    assert.ok((await readFile(found.archive)).equals(ARCHIVE))
    assert.equal((await readdir(into)).sort(), ['archive', 'hash', 'stamp', 'unix'])
    const { blocks } = await stat(found.archive)
    assert.ok(blocks * 512 < 300_000, `a hole stays a hole: ${blocks} blocks`)
    looked = true
  })
  assert.ok(looked)
})
extracting('reads from the first byte, and tells how many there were', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'p.tgz')
    const into = join(dir, 'into')
    await mkdir(into)
    await writeTarball(path, platform())
    const { stream, bytes } = await openTarball(path)
    let read = 0
    await extractPlatform(stream, 'p.tgz', into, (count) => (read += count))
    assert.is(read, bytes)
  }),
)
extracting('takes any one directory, and what old platforms lack may be lacking', async () => {
  let looked = false
  const old = { 'etc/version/platform': undefined, 'i86pc/amd64/boot_archive.hash': undefined }
  await extracted(platform(old, './platform-release-20141030-20141030T081701Z'), async (found) => {
    assert.is(found.directory, 'platform-release-20141030-20141030T081701Z')
    assert.is(found.stamp, undefined)
    looked = true
  })
  assert.ok(looked)
})
extracting('unpacks an archive that is gzipped; the digest is that of what is inside', async () => {
  let looked = false
  await extracted(platform({ 'i86pc/amd64/boot_archive': gzipSync(ARCHIVE) }), async (found) => {
    assert.ok((await readFile(found.archive)).equals(ARCHIVE))
    looked = true
  })
  assert.ok(looked)
})
for (const [what, entries, says] of [
  [
    'no boot archive',
    platform({ 'i86pc/amd64/boot_archive': undefined }),
    /^Cannot use "p\.tgz": it is no SmartOS platform: it has no i86pc\/amd64\/boot_archive$/,
  ],
  [
    'another archive than the hash says',
    platform({ 'i86pc/amd64/boot_archive.hash': `${'0'.repeat(40)}\n` }),
    /its boot archive has SHA-1 [0-9a-f]{40}, boot_archive\.hash says 0{40}$/,
  ],
  [
    'a path that leads out',
    [...platform(), { name: 'platform-1/../../etc/passwd', content: 'x' }],
    /it has the path "platform-1\/\.\.\/\.\.\/etc\/passwd", which leads out of it$/,
  ],
  [
    'an absolute path',
    [{ name: '/etc/passwd', content: 'x' }],
    /it has the path "\/etc\/passwd", which leads out of it$/,
  ],
  [
    'two directories',
    [...platform(), ...platform({}, 'platform-2')],
    /it has platform-1\/ and platform-2\/, a platform has one directory$/,
  ],
  [
    'a link where the kernel should be',
    [
      ...platform({ 'i86pc/kernel/amd64/unix': undefined }),
      { name: 'platform-1/i86pc/kernel/amd64/unix', link: '/etc/passwd' },
    ],
    /it has no i86pc\/kernel\/amd64\/unix$/,
  ],
  ['nothing', [], /it has no i86pc/],
] as const) {
  extracting(`refuses ${what}`, async () => {
    assert.match(await extracted(entries), says)
  })
}
extracting('refuses a tarball that is cut off', async () => {
  const cut = await extracted(platform(), undefined, async (path) => {
    await truncate(path, Math.floor((await stat(path)).size / 2))
  })
  assert.match(cut, /^Cannot use "p\.tgz": it is cut off$/)
})
extracting('refuses what is no tarball, gzipped or not', async () => {
  const page = await extracted([], undefined, (path) => writeFile(path, '<html>404</html>'))
  assert.match(page, /^Cannot use "p\.tgz": it is no gzipped tarball \(/)
  const packed = await extracted([], undefined, (path) =>
    writeFile(path, gzipSync(Buffer.alloc(2048, '<html>'))),
  )
  assert.match(packed, /^Cannot use "p\.tgz": it is no gzipped tarball \(/)
})
extracting.run()
