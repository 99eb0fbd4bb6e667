import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  checkLockFits,
  lockText,
  packagesDigest,
  type PackageLock,
  parseLock,
} from '../../lib/packages/lock.ts'

const lock: PackageLock = {
  lock: 1,
  distro: 'debian',
  release: '12',
  arch: 'amd64',
  epoch: 1700000000,
  requested: ['bash', 'curl'],
  required: ['bash'],
  installedBytes: 1,
  sources: [{ uri: 'http://me:secret@m/dists/bookworm/InRelease', suite: 'bookworm' }],
  packages: [
    {
      name: 'bash',
      version: '5.2.15-2+b7',
      arch: 'amd64',
      uri: 'http://me:secret@m/pool/main/b/bash/bash_5.2.15-2%2bb7_amd64.deb',
      bytes: 10,
      sha256: 'a'.repeat(64),
    },
  ],
  tools: { mmdebstrap: '1.3.5' },
}

const text = suite('lockText() and parseLock()')
text('is read as it was written, without passwords', () => {
  const written = lockText(lock)
  assert.not.match(written, /secret/)
  const read = parseLock(written, 'x')
  assert.is(read.packages[0]!.uri, 'http://m/pool/main/b/bash/bash_5.2.15-2%2bb7_amd64.deb')
  assert.is(packagesDigest(read), packagesDigest(lock))
})
const change = (more: object) => JSON.stringify({ ...lock, ...more })
const changed = (more: object) => change({ packages: [{ ...lock.packages[0], ...more }] })
for (const [what, content, expected] of [
  ['no JSON', '{', /it is no JSON/],
  ['another file', '[]', /it is no lock of this version/],
  ['a later version', change({ lock: 2 }), /it is no lock of this version/],
  ['no date', change({ epoch: 'now' }), /its "epoch" is missing or wrong/],
  ['a date that is none', change({ epoch: 1e12 }), /its "epoch" is missing or wrong/],
  ['no packages', change({ packages: [] }), /its "packages"/],
  ['a way out of the cache', changed({ version: '1/../../../etc/x' }), /no "version" that can/],
  ['an option for a name', changed({ name: '-oDir=x' }), /no "name" that can be used/],
  ['an address of another kind', changed({ uri: 'ssh://m/x' }), /no "uri" that can/],
  ['half a digest', changed({ sha256: 'ab' }), /no "sha256" that can/],
] as const) {
  text(`refuses ${what}`, () => assert.throws(() => parseLock(content, 'x'), expected))
}
text.run()

const fits = suite('checkLockFits()')
const wanted = {
  distro: 'debian',
  release: '12',
  arch: 'amd64',
  requested: ['curl', 'bash'],
} as const
fits('takes the recipe that it was made of, in whatever order', () =>
  checkLockFits(lock, { ...wanted, requested: [...wanted.requested] }, 'x'),
)
for (const [what, more, expected] of [
  ['another release', { release: '13' }, /its release is 12, not 13/],
  ['another architecture', { arch: 'arm64' }, /its arch is amd64, not arm64/],
  ['more packages', { requested: ['bash', 'curl', 'tmux'] }, /it was made without tmux/],
  ['fewer packages', { requested: ['bash'] }, /: with curl/],
] as const) {
  fits(`refuses ${what}`, () =>
    assert.throws(
      () =>
        checkLockFits(lock, { ...wanted, requested: [...wanted.requested], ...more } as never, 'x'),
      expected,
    ),
  )
}
fits.run()

const digest = suite('packagesDigest()')
digest('is of the packages, not of where they came from', () => {
  const elsewhere = { ...lock, packages: [{ ...lock.packages[0]!, uri: 'http://other/x.deb' }] }
  assert.is(packagesDigest(elsewhere), packagesDigest(lock))
  const newer = { ...lock, packages: [{ ...lock.packages[0]!, sha256: 'b'.repeat(64) }] }
  assert.is.not(packagesDigest(newer), packagesDigest(lock))
  assert.is.not(packagesDigest({ ...lock, requested: ['bash'] }), packagesDigest(lock))
})
digest.run()
