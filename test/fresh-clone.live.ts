/**
 * README's two commands as a newcomer runs them: in a clone that has never seen `npm ci`, from
 * another directory, through a link. And the same build by a user who is not root.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  root,
  workDir,
} from './live.ts'

needPackages({
  mcopy: 'mtools',
  'libdeflate-gzip': 'libdeflate-tools',
  newuidmap: 'uidmap',
  runuser: 'util-linux',
})

const { dir, remove } = await workDir()
const clone = join(dir, 'clone')
const mirrors = machineMirrors()
const before = leftovers()
const USER = 'hybridtester'

const newcomer = suite('fresh clone')
newcomer.before(() => {
  execFileSync('git', ['clone', '--quiet', root, clone])
  execFileSync('chmod', ['755', dir])
  removeUser() // of a run that was killed
})
newcomer.after(async () => {
  removeUser()
  await remove()
})
function removeUser() {
  spawnSync('pkill', ['-u', USER])
  spawnSync('userdel', ['-r', USER], { stdio: 'ignore' })
}

newcomer('npm test installs what it needs and passes', () => {
  const { status, stdout } = spawnSync('npm', ['test', '--', 'cli/options', 'zfs'], {
    cwd: clone,
    encoding: 'utf8',
  })
  assert.match(stdout, /^\d+ passed, 0 failed$/m)
  assert.is(status, 0)
})
newcomer('a command installs npm packages when they are absent, then builds', async () => {
  execFileSync('rm', ['-rf', join(clone, 'node_modules')])
  // Two host programs are taken away: root gets them back without asking for them.
  execFileSync('apt-get', ['remove', '-y', 'mtools', 'libdeflate-tools'], {
    stdio: 'ignore',
  })
  const link = join(dir, 'create-debian')
  await symlink(join(clone, 'bin/create-image-debian'), link)
  const result = spawnSync(link, ['13', ...mirrors], { cwd: dir, encoding: 'utf8' })
  process.stderr.write(result.stderr)
  assert.is(result.status, 0)
  assert.match(result.stderr, /^Installing the npm packages of this project \(npm ci\)$/m)
  assert.match(result.stderr, /^ {2}mtools \(mcopy\): fills the EFI system partition$/m)
  assert.match(result.stderr, /^ {2}libdeflate-tools \(libdeflate-gzip\): compresses/m)
  assert.match(result.stdout, /^\/.*\/bits\/debian-13\/.*\/debian-13-\d{8}\.imgmanifest\n$/)
  assert.ok(existsSync(result.stdout.trim()))
  assert.match(result.stderr, /imgadm install -m \S+ -f \S+/)
  assertNothingLeft(before)
})
newcomer('npm link puts the commands into $PATH', () => {
  const prefix = join(dir, 'prefix')
  const env = { ...process.env, npm_config_prefix: prefix }
  execFileSync('npm', ['link'], { cwd: clone, env, stdio: 'ignore' })
  const help = execFileSync(join(prefix, 'bin/create-image-debian'), ['--help'], {
    cwd: dir,
    encoding: 'utf8',
  })
  assert.match(help, /^Usage: create-image-debian RELEASE/)
})
newcomer('a user who is not root builds in a name space', () => {
  execFileSync('useradd', ['--create-home', '--shell', '/bin/bash', USER])
  const home = execFileSync('getent', ['passwd', USER], { encoding: 'utf8' }).split(':')[5]!
  const script = ['exec', join(clone, 'bin/create-image-debian'), '11', ...mirrors].join(' ')
  const result = spawnSync(
    'runuser',
    ['-l', USER, '-c', `export PATH=${dirname(process.execPath)}:$PATH; ${script}`],
    { encoding: 'utf8' },
  )
  process.stderr.write(result.stderr)
  assert.is(result.status, 0)
  const manifest = result.stdout.trim()
  assert.ok(manifest.startsWith(`${home}/bits/debian-11/`))
  assert.match(result.stderr, /Debian 11 \(bullseye\) is out of support since 2026-08-31/)
  const inspect = spawnSync(join(clone, 'bin/inspect-image'), [manifest], { encoding: 'utf8' })
  assert.is(inspect.status, 0)
  // image, manifest, bill of materials, provenance, lock, report
  assert.equal(readdirSync(dirname(manifest)).length, 6)
  assertNothingLeft(before)
})
newcomer.run()
