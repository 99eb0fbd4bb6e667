import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import {
  type Bootstrap,
  fetchWords,
  mmdebstrapWords,
  sourceLines,
} from '../../lib/methods/mmdebstrap.ts'

const spec: Bootstrap = {
  mode: 'root',
  arch: 'amd64',
  codename: 'bookworm',
  components: ['main'],
  mirror: {},
  keyring: '/keys.gpg',
  include: ['a', 'b'],
  target: '/w/root',
  cache: { archives: '/c/archives', lists: '/c/lists' },
  offline: false,
  guest: {
    files: [{ from: '/p/x.cfg', to: '/etc/x.cfg' }],
    directories: ['/p/tools'],
    setup: [{ path: '/p/setup.sh', name: 'setup.sh', env: { TITLE: "It's (1)" } }],
    customize: undefined,
    finish: [{ path: '/p/clean-up.sh', name: 'clean-up.sh', env: {} }],
  },
  download: [{ from: '/boot/core.img', to: '/w/core.img' }],
}
const hooks = (words: string[]) =>
  words.flatMap((word) => /^--customize-hook=(.*)/s.exec(word)?.[1] ?? [])

const words = suite('mmdebstrapWords()')
words('ends with suite, target and no mirror: the default is the vendor', () => {
  assert.equal(mmdebstrapWords(spec).slice(-2), ['bookworm', '/w/root'])
})
words('names the mirrors when one is given', () => {
  const mirror = { main: 'http://m/debian', security: 'http://m/debian-security' }
  assert.equal(mmdebstrapWords({ ...spec, mirror }).slice(-3), [
    'deb http://m/debian bookworm main',
    'deb http://m/debian bookworm-updates main',
    'deb http://m/debian-security bookworm-security main',
  ])
  assert.is(sourceLines({ ...spec, mirror: { main: 'http://m' } }).length, 2)
})
words('does not ask an archive for fresh signatures', () => {
  const mirror = { main: 'http://archive/debian', archived: true } as const
  assert.is(
    sourceLines({ ...spec, mirror })[0],
    'deb [check-valid-until=no] http://archive/debian bookworm main',
  )
})
words('makes a directory for root, a tar in a user name space', () => {
  assert.ok(mmdebstrapWords(spec).includes('--format=directory'))
  const user = mmdebstrapWords({ ...spec, mode: 'unshare' })
  assert.ok(user.includes('--mode=unshare'))
  assert.ok(user.includes('--format=tar'))
})
words('installs packages of the architecture that is wanted', () => {
  assert.ok(mmdebstrapWords(spec).includes('--architectures=amd64'))
  for (const wordsOf of [mmdebstrapWords, fetchWords]) {
    assert.ok(wordsOf({ ...spec, arch: 'arm64' }).includes('--architectures=arm64'))
  }
})
words('skips the update of package lists offline only', () => {
  assert.ok(mmdebstrapWords(spec).includes('--skip=essential/unlink'))
  assert.ok(mmdebstrapWords({ ...spec, offline: true }).includes('--skip=essential/unlink,update'))
})
words('runs set-up, the operator, then clean-up, and keeps downloads before any of them', () => {
  const customize = { path: '/o/my script.sh', name: 'my script.sh', env: {} }
  const order = hooks(mmdebstrapWords({ ...spec, guest: { ...spec.guest, customize } }))
  const at = (text: string) => order.findIndex((hook) => hook.includes(text))
  const places = [
    at('sync-out /var/cache/apt/archives /c/archives'),
    at('upload /p/x.cfg /etc/x.cfg'),
    at('upload /p/setup.sh'),
    at("upload '/o/my script.sh'"),
    at('upload /p/clean-up.sh'),
    at('download /boot/core.img'),
    at('rm -rf "$1/var/tmp/hybrid-images"'),
  ]
  assert.not(places.includes(-1))
  assert.equal(
    places,
    places.slice().sort((a, b) => a - b),
  )
})
words('hooks hand variables over unharmed and tell which script failed', () => {
  const run = hooks(mmdebstrapWords(spec)).find((hook) => hook.includes('chroot'))!
  // Run the hook with a chroot that prints its words, as mmdebstrap's shell would.
  const shell = `chroot() { printf '%s\\n' "$@"; return 7; }; ${run}`
  try {
    execFileSync('sh', ['-c', shell, 'exec', '/root dir'], { encoding: 'utf8' })
    assert.unreachable()
  } catch (error) {
    const printed = String((error as { stdout: string }).stdout).split('\n')
    assert.is(printed[0], 'hybrid-images: setup.sh begins')
    assert.equal(printed.slice(1, 4), ['/root dir', 'env', "TITLE=It's (1)"])
    assert.is(printed.at(-2), 'hybrid-images: setup.sh exited with status 7')
  }
})
words('fetches what a build needs, into the same cache, and keeps nothing else', () => {
  const fetching = fetchWords(spec)
  assert.ok(fetching.includes('--format=null'))
  assert.ok(fetching.includes('--include=a,b') && fetching.includes('--variant=extract'))
  assert.ok(fetching.includes('--extract-hook=sync-out /var/cache/apt/archives /c/archives'))
  assert.not(fetching.some((word) => word.startsWith('--customize-hook')))
  assert.equal(fetching.slice(-2), ['bookworm', '-'])
})
words.run()
