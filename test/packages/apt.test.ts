import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { aptConfig, prepareApt, splitLogin } from '../../lib/packages/apt.ts'
import { inTemporaryDir } from '../temporary.ts'

const config = suite('aptConfig()')
config('points apt at its own directory, and at nothing of this machine', () => {
  const text = aptConfig({ directory: '/w/apt', lists: '/c/lists', arch: 'arm64', proxyEnv: {} })
  assert.match(text, /^APT::Architecture "arm64";$/m)
  assert.match(text, /^Dir::State::Lists "\/c\/lists";$/m)
  assert.match(text, /^Dir::State::Status "\/w\/apt\/status";$/m)
  assert.match(text, /^Dir::Etc::SourceParts "\/dev\/null";$/m)
})
config.run()

const logins = suite('splitLogin()')
logins('takes a password out of an address, for the file that apt reads it from', () => {
  const source = 'deb [signed-by=/k] http://me:p%40ss@mirror.example.com:8080/debian bookworm main'
  assert.equal(splitLogin(source), {
    source: 'deb [signed-by=/k] http://mirror.example.com:8080/debian bookworm main',
    login: 'machine http://mirror.example.com:8080 login me password p@ss',
  })
  assert.is(
    splitLogin('deb http://me:p@ss%zz@mirror/debian x main').login,
    'machine http://mirror login me password p@ss%zz',
  )
  const plain = 'deb http://mirror.example.com/debian bookworm main'
  assert.equal(splitLogin(plain), { source: plain, login: undefined })
})
logins('that are written are for nobody else', () =>
  inTemporaryDir(async (directory) => {
    const sources = ['deb http://me:secret@mirror/debian bookworm main']
    await prepareApt({
      directory,
      lists: join(directory, 'l'),
      arch: 'amd64',
      sources,
      proxyEnv: {},
    })
    assert.not.match(await readFile(join(directory, 'sources.list'), 'utf8'), /secret/)
    const file = join(directory, 'etc/auth.conf')
    assert.match(await readFile(file, 'utf8'), /login me password secret/)
    assert.is((await stat(file)).mode & 0o777, 0o600)
  }),
)
logins.run()

const places = suite('prepareApt()')
places('keeps what apt writes while it works among its own files, whatever ends it', () =>
  inTemporaryDir(async (directory) => {
    const lists = join(directory, 'l')
    const apt = await prepareApt({ directory, lists, arch: 'amd64', sources: [], proxyEnv: {} })
    const { stdout } = await apt({ env: { TMPDIR: '/elsewhere' } })`printenv TMPDIR`
    assert.is(stdout, `${join(directory, 'tmp')}\n`)
    assert.ok((await stat(stdout.trim())).isDirectory())
  }),
)
places.run()
