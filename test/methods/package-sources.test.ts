import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { debian } from '../../distros/debian.ts'
import { rocky } from '../../distros/rocky.ts'
import { ubuntu } from '../../distros/ubuntu.ts'
import type { Distro } from '../../distros/distro.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { keyOf } from '../../lib/image/stage-cache.ts'
import { onItsDay } from '../../lib/methods/kept-system.ts'
import { listAddresses, sourcesState } from '../../lib/methods/package-sources.ts'
import { at, recipeOf } from '../recipe-of.ts'
import { inTemporaryDir } from '../temporary.ts'

const lists = async (distro: Distro, ...words: string[]) =>
  listAddresses(distro, await recipeOf(distro, [...words, '--method', 'installer']))

const sources = suite('lists of package sources')
sources('of a mirror, all that packages come from', async () => {
  assert.equal(await lists(debian, '13', '--mirror', 'http://m/debian/'), [
    'http://m/debian/dists/trixie/InRelease',
    'http://m/debian/dists/trixie-updates/InRelease',
    'http://security.debian.org/debian-security/dists/trixie-security/InRelease',
  ])
  const alone = ['--mirror', 'http://m/debian', '--security-mirror', 'none']
  assert.equal(await lists(debian, '13', ...alone), [
    'http://m/debian/dists/trixie/InRelease',
    'http://m/debian/dists/trixie-updates/InRelease',
  ])
})
sources("of the vendor's own mirror", async () => {
  assert.equal(await lists(debian, '12'), [
    'http://security.debian.org/debian-security/dists/bookworm-security/InRelease',
  ])
  const [main, updates, security] = await lists(ubuntu, '24.04')
  assert.match(main!, /^http:\S+\/ubuntu\/dists\/noble\/InRelease$/)
  assert.match(updates!, /\/dists\/noble-updates\/InRelease$/)
  assert.match(security!, /\/dists\/noble-security\/InRelease$/)
})
sources('of repositories', async () => {
  assert.equal(await lists(rocky, '9', '--mirror', 'http://127.0.0.1/rocky'), [
    'http://127.0.0.1/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml',
    'http://127.0.0.1/rocky/9/AppStream/x86_64/os/repodata/repomd.xml',
  ])
  const [base] = await lists(rocky, '9')
  assert.is(base, 'https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml')
})
for (const distro of distros) {
  for (const { version } of distro.releases) {
    sources(`${distro.title} ${version} has some`, async () => {
      const found = await lists(distro, version)
      assert.ok(found.length > 0)
      for (const url of found) assert.is(new URL(url).href, url, 'no // and no undefined in it')
      assert.not.match(found.join(' '), /undefined|[^:]\/\//)
    })
  }
}
sources('offline the state is the one that was noted, or unknown', () =>
  inTemporaryDir(async (dir) => {
    const scope = new Scope()
    const build = { recipe: { cache: dir, name: 'x', proxyEnv: {} }, scope }
    const state = () => sourcesState(['http://127.0.0.1:1/a'], build, { offline: true })
    assert.is(await state(), undefined)
    await mkdir(join(dir, 'sources'))
    const note = join(dir, 'sources', `${keyOf(['http://127.0.0.1:1/a'])}.json`)
    await writeFile(note, '["abc"]')
    assert.equal(await state(), ['abc'])
    await writeFile(note, '') // as after a power cut
    assert.is(await state(), undefined)
    assert.equal(await readdir(dir), ['sources'])
    await scope.close(false)
  }),
)
sources('a day has one date for what images of it have in common', () => {
  const morning = onItsDay({ at: new Date('2026-05-08T00:00:01Z'), name: 'x' })
  assert.equal(morning, onItsDay({ at, name: 'x' }))
  assert.equal(onItsDay(morning), morning)
  assert.not.equal(morning, onItsDay({ at: new Date('2026-05-09T00:00:00Z'), name: 'x' }))
})
sources.run()
