import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import {
  type BaseSpec,
  baseWords,
  defaultSourcesWords,
  signedBy,
  sourceLines,
  type SystemSpec,
  systemWords,
} from '../../lib/methods/mmdebstrap.ts'

const hooks = (words: string[]) =>
  words.flatMap((word) => /^--customize-hook=(.*)/s.exec(word)?.[1] ?? [])

const suites = { codename: 'bookworm', components: ['main'] }
const sources = suite('sources')
sources('are those of the mirror that is given; none where the vendor is the default', () => {
  assert.equal(sourceLines({ ...suites, mirror: {} }), [])
  const mirror = { main: 'http://m/debian', security: 'http://m/debian-security' }
  assert.equal(sourceLines({ ...suites, mirror }), [
    'deb http://m/debian bookworm main',
    'deb http://m/debian bookworm-updates main',
    'deb http://m/debian-security bookworm-security main',
  ])
  assert.is(sourceLines({ ...suites, mirror: { main: 'http://m' } }).length, 2)
})
sources('of an archive need no fresh signatures', () => {
  const mirror = { main: 'http://archive/debian', archived: true } as const
  assert.is(
    sourceLines({ ...suites, mirror })[0],
    'deb [check-valid-until=no] http://archive/debian bookworm main',
  )
})
sources('name the keys that have to have signed them, beside their other options', () => {
  assert.is(
    signedBy('deb http://m bookworm main', '/k.gpg'),
    'deb [signed-by=/k.gpg] http://m bookworm main',
  )
  assert.is(
    signedBy('deb [check-valid-until=no] http://m bookworm main', '/k.gpg'),
    'deb [signed-by=/k.gpg check-valid-until=no] http://m bookworm main',
  )
})
sources('that are the default, mmdebstrap is asked for, and makes nothing', () => {
  const words = defaultSourcesWords('root', 'bookworm', ['main', 'contrib'])
  assert.ok(words.includes('--components=main,contrib') && words.includes('--format=null'))
  assert.match(
    words.find((word) => word.startsWith('--setup-hook'))!,
    /; exit 1$/,
  )
})
sources.run()

const base: BaseSpec = {
  mode: 'root',
  arch: 'amd64',
  codename: 'bookworm',
  include: ['a', 'b'],
  source: 'deb [trusted=yes] copy:/w/packages ./',
  target: '/w/root',
}
const installing = suite('baseWords()')
installing('installs from the one repository that it is given', () => {
  const words = baseWords(base)
  assert.equal(words.slice(-3), ['bookworm', '/w/root', base.source])
  assert.ok(words.includes('--include=a,b') && words.includes('--variant=apt'))
  assert.ok(baseWords({ ...base, arch: 'arm64' }).includes('--architectures=arm64'))
})
installing('makes a directory for root, a tar in a user name space', () => {
  assert.ok(baseWords(base).includes('--format=directory'))
  const user = baseWords({ ...base, mode: 'unshare' })
  assert.ok(user.includes('--mode=unshare') && user.includes('--format=tar'))
})
installing('leaves neither its repository, nor name and resolver of this machine', () => {
  assert.equal(hooks(baseWords(base)), [
    'rm -f "$1/etc/apt/sources.list" "$1/etc/resolv.conf" "$1/etc/hostname"',
  ])
})
installing.run()

const spec: SystemSpec = {
  mode: 'root',
  arch: 'amd64',
  codename: 'bookworm',
  base: '/w/root',
  target: '/w/root',
  guest: {
    files: [{ from: '/p/x.cfg', to: '/etc/x.cfg' }],
    directories: ['/p/tools'],
    setup: [{ path: '/p/setup.sh', name: 'setup.sh', env: { TITLE: "It's (1)" } }],
    customize: undefined,
    finish: [{ path: '/p/clean-up.sh', name: 'clean-up.sh', env: {} }],
  },
  network: undefined,
  download: [{ from: '/boot/core.img', to: '/w/core.img' }],
}
const customized: SystemSpec = {
  ...spec,
  guest: { ...spec.guest, customize: { path: '/o/my script.sh', name: 'my script.sh', env: {} } },
  network: {
    components: ['main'],
    keyring: '/keys.gpg',
    sources: ['deb http://m/debian bookworm main'],
    logins: '/w/auth.conf',
    cache: { archives: '/c/archives', lists: '/c/lists' },
    offline: false,
  },
}
const setting = suite('systemWords()')
setting('changes the directory that it is given, or makes a tar of a tar', () => {
  const words = systemWords(spec)
  assert.ok(words.includes('--skip=check/empty') && words.includes('--format=directory'))
  assert.is(words.at(-2), '/w/root')
  const user = systemWords({ ...spec, mode: 'unshare', base: '/w/base.tar', target: '/w/root.tar' })
  assert.ok(user.includes('--setup-hook=tar-in /w/base.tar /') && user.includes('--format=tar'))
  assert.not(user.includes('--skip=check/empty'))
})
setting('has no network unless the operator’s script may want it', () => {
  assert.ok(systemWords(spec).includes('--skip=update'))
  assert.not(systemWords(customized).includes('--skip=update'))
  const offline = { ...customized, network: { ...customized.network!, offline: true } }
  assert.ok(systemWords(offline).includes('--skip=update'))
})
setting(
  'shows no address to who lists the processes, nor passwords to who reads the new system',
  () => {
    const words = systemWords(customized)
    assert.is(words.at(-1), '-')
    const before = words.filter((word) => word.startsWith('--setup-hook=')).join('\n')
    assert.match(
      before,
      /umask 077 && : >"\$1\/etc\/apt\/auth\.conf\.d\/hybrid-images\.conf"\)\n--setup-hook=upload \/w\/auth\.conf \/etc\/apt\/auth\.conf\.d\/hybrid-images\.conf/,
    )
    const order = hooks(words)
    const at = (text: string) => order.findIndex((hook) => hook.includes(text))
    assert.ok(at('rm "$1/etc/apt/auth.conf.d/hybrid-images.conf"') > at("upload '/o/my script.sh'"))
    const open = { ...customized, network: { ...customized.network!, logins: undefined } }
    assert.not.match(systemWords(open).join('\n'), /auth\.conf/)
  },
)
setting('runs set-up, the operator, then clean-up, and keeps downloads behind the operator', () => {
  const order = hooks(systemWords(customized))
  const at = (text: string) => order.findIndex((hook) => hook.includes(text))
  const places = [
    at('upload /p/x.cfg /etc/x.cfg'),
    at('upload /p/setup.sh'),
    at("upload '/o/my script.sh'"),
    at('sync-out /var/cache/apt/archives /c/archives'),
    at('upload /p/clean-up.sh'),
    at('download /boot/core.img'),
    at('rm -rf "$1/var/tmp/hybrid-images"'),
  ]
  assert.not(places.includes(-1))
  assert.equal(
    places,
    places.toSorted((a, b) => a - b),
  )
})
setting('hooks hand variables over unharmed and tell which script failed', () => {
  const run = hooks(systemWords(spec)).find((hook) => hook.includes('chroot'))!
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
setting.run()
