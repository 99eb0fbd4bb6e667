import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import type { LockedPackage } from '../../lib/packages/lock.ts'
import { orderIndex, releaseFile } from '../../lib/packages/repository.ts'
import { callsOf, fetchWords, fileOf, missingFrom, newestOf } from '../../lib/packages/store.ts'
import { placesOf } from '../../lib/methods/bootstrap-pin.ts'
import { recipeOf } from '../recipe-of.ts'
import { inTemporaryDir } from '../temporary.ts'

/** An archive's first header, of a package made then. */
const deb = (seconds: number) =>
  Buffer.from(
    `!<arch>\ndebian-binary   ${String(seconds).padEnd(12)}0     0     100644  4         \x60\n2.0\n`,
  )
const packageOf = (name: string, content: Buffer): LockedPackage => ({
  name,
  version: '1:2.0~rc1-3+b1',
  arch: 'all',
  uri: `http://m/pool/${name}_2.0%7erc1-3%2bb1_all.deb`,
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
})

const store = suite('packages in the cache')
store('are named as apt names them', () => {
  assert.is(fileOf(packageOf('a', Buffer.alloc(0))), 'a_1%3a2.0~rc1-3+b1_all.deb')
  const one = packageOf('a', Buffer.alloc(0))
  assert.equal(fetchWords([one], '/c'), [
    one.uri,
    '/c/a_1%3a2.0~rc1-3+b1_all.deb',
    `SHA256:${one.sha256}`,
  ])
})
store('of a lock are asked for by words without the mirror’s password', async () => {
  const mirror = ['--mirror', 'http://me:s3cret@m:8080/debian', '--security-mirror', 'none']
  const recipe = await recipeOf(debian, ['12', ...mirror])
  const [first] = placesOf({ distro: debian, recipe }, { sources: [] })
  const one = packageOf('a', Buffer.alloc(0))
  assert.is(
    fetchWords([one], '/c', (it) => first!(it)!)[0],
    'http://m:8080/debian/pool/a_2.0%7erc1-3%2bb1_all.deb',
  )
})
store('are asked for in calls that a shell can be given', () => {
  const many = Array.from({ length: 2000 }, (_, i) => packageOf(`package-${i}`, Buffer.alloc(0)))
  const wordsOf = (one: LockedPackage) => fetchWords([one], `/c/${'long/'.repeat(20)}`)
  const calls = [...callsOf(many, wordsOf)]
  assert.equal(calls.flat(), many)
  assert.ok(calls.length > 3 && calls.every((some) => some.length > 100))
  for (const some of calls) {
    const words = some.flatMap(wordsOf)
    assert.is(spawnSync('sh', ['-c', `: ${words.join(' ')}`]).status, 0)
  }
  assert.equal([...callsOf([], wordsOf)], [])
})
store('count as missing when they are cut off or something else', () =>
  inTemporaryDir(async (dir) => {
    const content = deb(1700000000)
    const all = ['whole', 'cut', 'other', 'gone'].map((name) => packageOf(name, content))
    const [whole, cut, other] = all.map((one) => join(dir, fileOf(one)))
    await writeFile(whole!, content)
    await writeFile(cut!, content.subarray(0, 20))
    await writeFile(
      other!,
      content.map((byte) => byte ^ 1),
    )
    assert.equal(
      (await missingFrom(dir, all)).map(({ name }) => name),
      ['cut', 'other', 'gone'],
    )
  }),
)
store('tell when the newest of them was made', () =>
  inTemporaryDir(async (dir) => {
    const old = packageOf('old', deb(1600000000))
    const young = packageOf('young', deb(1700000001))
    await writeFile(join(dir, fileOf(old)), deb(1600000000))
    await writeFile(join(dir, fileOf(young)), deb(1700000001))
    assert.is(await newestOf(dir, [young, old]), 1700000001)
    assert.is(await newestOf(dir, []), undefined)
  }),
)
store.run()

const index = suite('orderIndex()')
const [a, b] = [packageOf('a', Buffer.from('x')), packageOf('b', Buffer.from('y'))]
const stanza = (one: typeof a) =>
  `Package: ${one.name}\nFilename: ./${fileOf(one)}\nDescription: d\n more\n .\n end\n`
index('has the order of the lock, whatever that of the directory is', () => {
  const ordered = `${stanza(a)}\n${stanza(b)}\n`
  assert.is(orderIndex(`${stanza(b)}\n${stanza(a)}\n`, [a, b]), ordered)
  assert.is(orderIndex(ordered, [a, b]), ordered)
})
index('names a package that is not in it', () => {
  assert.throws(() => orderIndex(stanza(a), [a, b]), /Cannot read package b_/)
})
index.run()

const release = suite('releaseFile()')
release('names the release, by which mmdebstrap finds what is essential, and the index', () => {
  const text = releaseFile('bookworm', 'Package: a\n')
  assert.match(text, /^Codename: bookworm$/m)
  const [, digest, bytes] = /^ ([0-9a-f]{64}) (\d+) Packages$/m.exec(text)!
  assert.is(digest, createHash('sha256').update('Package: a\n').digest('hex'))
  assert.is(bytes, '11')
})
release.run()
