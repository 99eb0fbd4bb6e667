/** Media of the operator's own, as files; addresses are fetched in media.live.ts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkGiven, findGiven } from '../../lib/media/given.ts'
import { checkIso } from '../../lib/media/iso9660.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('hex')

const given = suite('findGiven()')
given('takes a file as it is where no digest is given', () =>
  inTemporaryDir(async (dir) => {
    const iso = join(dir, 'my.iso')
    await writeFile(iso, 'content')
    const media = await findGiven({ iso, checksum: undefined }, join(dir, 'cache'))
    assert.equal(media, { path: iso, name: 'my.iso', digest: undefined, from: iso })
    assert.equal(await readdir(dir), ['my.iso'])
  }),
)
given('verifies a file by a digest of either length, and by a list', () =>
  inTemporaryDir(async (dir) => {
    const iso = join(dir, 'my.iso')
    const list = join(dir, 'SHA256SUMS')
    await writeFile(iso, 'content')
    await writeFile(
      list,
      `${hash('sha256', 'x')}  other.iso\n${hash('sha256', 'content')}  my.iso\n`,
    )
    for (const checksum of [
      hash('sha256', 'content').toUpperCase(),
      `sha512:${hash('sha512', 'content')}`,
      list,
    ]) {
      const { path } = await findGiven({ iso, checksum }, join(dir, 'cache'))
      assert.is(path, iso)
    }
  }),
)
given('refuses a file with another digest, and leaves it alone', () =>
  inTemporaryDir(async (dir) => {
    const iso = join(dir, 'my.iso')
    await writeFile(iso, 'changed')
    const checksum = hash('sha256', 'content')
    assert.is(
      await refusal(findGiven({ iso, checksum }, dir)),
      `Cannot use ${iso}: its sha256 is ${hash('sha256', 'changed')}, wanted is ${checksum}`,
    )
    assert.equal(await readdir(dir), ['my.iso'])
  }),
)
given('refuses what is no digest, a list without the file, a file that is not there', () =>
  inTemporaryDir(async (dir) => {
    const iso = join(dir, 'my.iso')
    const list = join(dir, 'SUMS')
    await writeFile(iso, 'content')
    await writeFile(list, `${hash('sha256', 'x')}  other.iso\n`)
    const of = (checksum: string, name = iso) => refusal(findGiven({ iso: name, checksum }, dir))
    assert.match(await of('abc'), /^Cannot read --checksum "abc": it is no SHA-256/)
    assert.match(await of(list), /^Cannot find "my\.iso" in checksum list/)
    assert.match(await of(hash('sha256', 'x'), join(dir, 'none.iso')), /no such file/)
  }),
)
given('does not wait for somebody who writes to a pipe', () =>
  inTemporaryDir(async (dir) => {
    const pipe = join(dir, 'pipe')
    execFileSync('mkfifo', [pipe])
    await writeFile(join(dir, 'my.iso'), 'content')
    const of = (iso: string, checksum?: string) => refusal(findGiven({ iso, checksum }, dir))
    assert.is(await of(pipe), `Cannot read "${pipe}": it is a pipe`)
    assert.match(await of(join(dir, 'my.iso'), pipe), /: nothing comes out of this pipe$/)
    assert.is(await refusal(checkIso(pipe)), `Cannot read "${pipe}": it is a pipe`)
  }),
)
given('wants a digest for an address', () => {
  const iso = 'http://example.com/a.iso'
  assert.throws(() => checkGiven({ iso, checksum: undefined }), /without --checksum/)
  checkGiven({ iso, checksum: hash('sha256', '') })
  checkGiven({ iso: '/a.iso', checksum: undefined })
})
given('offline, does not ask for an address that the cache does not hold', () =>
  inTemporaryDir(async (dir) => {
    const wanted = { iso: 'http://127.0.0.1:1/a.iso', checksum: hash('sha256', 'x') }
    assert.match(await refusal(findGiven(wanted, dir, { offline: true })), /^Cannot use .* offline/)
    assert.equal(
      (await readdir(dir, { recursive: true })).filter((name) => /lock|partial/.test(name)),
      [],
    )
  }),
)
given.run()
