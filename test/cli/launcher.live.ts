/**
 * The start of a command in a checkout that belongs to somebody else: no slower than in one's own from the second
 * time on, and with nothing that another user could have written.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { root, workDir } from '../live.ts'

const { dir, remove } = await workDir()
await chmod(dir, 0o755)
const checkout = join(dir, 'checkout')
execFileSync('git', ['-c', 'safe.directory=*', 'clone', '--quiet', root, checkout])
// What is changed here counts, committed or not.
for (const name of ['lib', 'bin', 'distros', 'package.json', 'package-lock.json']) {
  execFileSync('cp', ['-r', join(root, name), `${checkout}/`])
}
execFileSync('cp', ['-r', join(root, 'node_modules'), `${checkout}/`])
await rm(join(checkout, 'node_modules/.cache'), { recursive: true, force: true })
execFileSync('chmod', ['-R', 'go=u-w', checkout])

const NOBODY = 65534
const home = join(dir, 'home')
const kept = join(home, '.cache/hybrid-images/start')
const temporary = join(dir, 'tmp')

/** A command as a user who may read the checkout. */
function as(user: number, [name, ...words]: [string, ...string[]], env: NodeJS.ProcessEnv) {
  const who = ['--reuid', user, '--regid', user, '--clear-groups'].map(String)
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [...who, join(checkout, 'bin', name), ...words],
    {
      cwd: '/',
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], TMPDIR: temporary, ...env },
    },
  )
  return { status, stdout, stderr }
}
const help = (env: NodeJS.ProcessEnv = {}) =>
  as(NOBODY, ['check-host', '--help'], { HOME: home, ...env })
const assertHelp = ({ status, stdout, stderr }: ReturnType<typeof help>) => {
  assert.equal([status, stderr], [0, ''])
  assert.match(stdout, /^Usage: check-host /)
}
async function fresh() {
  for (const path of [home, temporary]) {
    await rm(path, { recursive: true, force: true })
    await mkdir(path)
    await chown(path, NOBODY, NOBODY)
  }
}
const bundle = async () => {
  const name = (await readdir(kept)).find((one) => one.endsWith('.mjs'))!
  return join(kept, name)
}

const starting = suite('a command of a checkout that belongs to somebody else')
starting.before.each(fresh)
starting('is kept as one file by who starts it', async () => {
  assertHelp(help())
  const made = await stat(await bundle())
  assert.is((await stat(kept)).mode & 0o777, 0o700)
  assertHelp(help())
  assert.is((await stat(await bundle())).mtimeMs, made.mtimeMs, 'it was not made again')
  // It is what runs, or the test below shows nothing.
  await writeFile(await bundle(), "console.log('Usage: check-host of the user')")
  assert.is(help().stdout, 'Usage: check-host of the user\n')
  assert.equal(await readdir(temporary), [])
})
starting('is made anew when a source has changed', async () => {
  assertHelp(help())
  const source = join(checkout, 'bin/check-host.ts')
  const before = await readFile(source)
  await appendFile(source, "\nconsole.log('changed')\n")
  try {
    assert.match(help().stdout, /^Usage: check-host [^]*\nchanged\n$/)
  } finally {
    await writeFile(source, before)
  }
  assert.not.match(help().stdout, /changed/)
})
for (const [what, spoil] of [
  ['others may write to it', () => chmod(kept, 0o777)],
  ['it is somebody else’s', () => chown(kept, 1, 1)],
] as const) {
  starting(`is not taken from a cache when ${what}`, async () => {
    assertHelp(help())
    await writeFile(await bundle(), "console.log('Usage: check-host of a stranger')")
    await spoil()
    await chmod(kept, (await stat(kept)).mode | 0o055)
    const outcome = help()
    assertHelp(outcome)
    assert.not.match(outcome.stdout, /stranger/)
    assert.equal(await readdir(temporary), [])
  })
}
starting('starts without a home, and leaves nothing', async () => {
  assertHelp(help({ HOME: '/nonexistent' }))
  assert.equal(await readdir(temporary), [])
})
starting('says so when a user whom nobody has made has no place for a cache', async () => {
  await chmod(temporary, 0o1777)
  const { status, stdout, stderr } = as(61_234, ['check-updates', 'debian-12'], {})
  assert.equal(
    [status, stdout, stderr],
    [3, '', 'Error: Cannot find your home directory: this user has none\n  Set $HOME\n'],
  )
  assert.equal(await readdir(temporary), [])
})
starting('says so when it can be written nowhere', async () => {
  const { status, stdout, stderr } = help({ HOME: '/nonexistent', TMPDIR: '/nonexistent' })
  assert.is(status, 3)
  assert.is(stdout, '')
  assert.match(
    stderr,
    /^Error: Cannot start in \/nonexistent: ENOENT.*\n {2}Make room there, .*\$TMPDIR\n$/,
  )
})
starting('as root begins with nothing of a home', async () => {
  const words = [join(checkout, 'bin/check-host'), '--help']
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: temporary }
  assert.match(execFileSync(words[0]!, [words[1]!], { encoding: 'utf8', env }), /^Usage: /)
  assert.equal(await readdir(home), [])
  await rm(join(checkout, 'node_modules/.cache'), { recursive: true })
})
starting.after(remove)
starting.run()
