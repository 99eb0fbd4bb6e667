import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseOnce } from '../../lib/methods/earlier-choice.ts'
import type { PackageLock } from '../../lib/packages/lock.ts'
import { printed } from '../printed.ts'
import { inTemporaryDir } from '../temporary.ts'

const [main, updates] = ['bookworm', 'bookworm-updates'].map((suite, i) => ({
  uri: `http://m/debian/dists/${suite}/InRelease`,
  suite,
  date: 'Sat, 10 Jan 2026 10:00:00 UTC',
  sha256: `${i}`.repeat(64),
}))
const ABOUT: Omit<PackageLock, 'required' | 'packages' | 'installedBytes'> = {
  lock: 1,
  distro: 'debian',
  release: '12',
  arch: 'amd64',
  epoch: 0,
  requested: ['systemd-sysv'],
  sources: [main!, updates!],
  tools: {},
}
const SOURCES = ['deb http://m/debian bookworm main', 'deb http://m/debian bookworm-updates main']

const bash = (version: string) => ({
  name: 'bash',
  version,
  arch: 'amd64',
  uri: `http://m/debian/pool/b/bash/bash_${version}_amd64.deb`,
  bytes: 1490000,
  sha256: 'c'.repeat(64),
})

/** A cache, and how to choose by it: what comes is told by the count of choices that were made before. */
function chooser(directory: string) {
  let made = 0
  return async (about = ABOUT, sources = SOURCES, fresh = false) => {
    const cache = { directory, fresh }
    let version = ''
    const said = await printed(async () => {
      const { packages, ...rest } = await chooseOnce(cache, about, sources, async () => ({
        ...about,
        required: ['bash'],
        installedBytes: 7000,
        packages: [bash(`5.${++made}`)],
      }))
      assert.equal(rest, { ...about, required: ['bash'], installedBytes: 7000 })
      version = packages[0]!.version
    })
    return { version, said }
  }
}

const choosing = suite("an earlier build's choice of packages")
choosing('is taken as long as all is the same', () =>
  inTemporaryDir(async (dir) => {
    const choose = chooser(dir)
    assert.equal(await choose(), { version: '5.1', said: '' })
    const { version, said } = await choose()
    assert.is(version, '5.1')
    assert.match(said, /lists have not changed: the packages are those of an earlier build/)
    assert.is((await chooser(dir)()).version, '5.1', 'in another process')
  }),
)

const others: Record<string, Partial<typeof ABOUT>> = {
  'a list with another content': { sources: [main!, { ...updates!, sha256: '2'.repeat(64) }] },
  'a list less': { sources: [main!] },
  'another package that is asked for': { requested: ['systemd-sysv', 'tmux'] },
  'another architecture': { arch: 'arm64' },
  'another release': { release: '13' },
}
for (const [what, other] of Object.entries(others)) {
  choosing(`is not taken for ${what}`, () =>
    inTemporaryDir(async (dir) => {
      const choose = chooser(dir)
      assert.is((await choose()).version, '5.1')
      assert.is((await choose({ ...ABOUT, ...other })).version, '5.2')
      assert.is((await choose()).version, '5.1', 'the one before is there still')
    }),
  )
}
choosing('is not taken for other components of the same archive', () =>
  inTemporaryDir(async (dir) => {
    const choose = chooser(dir)
    assert.is((await choose()).version, '5.1')
    const more = SOURCES.map((source) => `${source} contrib`)
    assert.is((await choose(ABOUT, more)).version, '5.2')
  }),
)
choosing('is neither kept nor taken where a list has no digest', () =>
  inTemporaryDir(async (dir) => {
    const choose = chooser(dir)
    const { sha256: _, ...unsigned } = updates!
    const about = { ...ABOUT, sources: [main!, unsigned] }
    assert.is((await choose(about)).version, '5.1')
    assert.is((await choose(about)).version, '5.2')
    assert.equal(await readdir(dir), [])
  }),
)
choosing('is made anew with --fresh', () =>
  inTemporaryDir(async (dir) => {
    const choose = chooser(dir)
    assert.is((await choose()).version, '5.1')
    assert.is((await choose(ABOUT, SOURCES, true)).version, '5.2')
    assert.is((await choose()).version, '5.2')
  }),
)
choosing('is made anew when what was kept is damaged', () =>
  inTemporaryDir(async (dir) => {
    const choose = chooser(dir)
    assert.is((await choose()).version, '5.1')
    const [name] = await readdir(dir)
    await truncate(join(dir, name!, 'lock.json'), 100)
    const { version, said } = await choose()
    assert.is(version, '5.2')
    assert.match(said, /The stage "choice" in .* is damaged: it is made anew/)
    assert.is((await choose()).version, '5.2')
  }),
)
choosing.run()
