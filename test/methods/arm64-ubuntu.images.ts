/**
 * Ubuntu's root tar for arm64, from a mirror of Ubuntu's layout that has Debian's packages: names, sources and
 * scripts are Ubuntu's. What Ubuntu's own packages do is not shown here.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, needPackages, run, workDir } from '../live.ts'
import { startUbuntuMirror } from '../ubuntu-mirror.ts'

needPackages({ xz: 'xz-utils' })

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt reads the keyring as a user of its own
const names = { codename: 'noble', version: '24.04', arch: 'arm64' } as const
const mirror = await startUbuntuMirror(dir, names)
const before = leftovers()
const EM_AARCH64 = 183 // e_machine, at byte 18 of an ELF file

const tars = suite('root tar of Ubuntu for arm64')
tars.after(async () => {
  mirror.close()
  await remove()
})
tars('has programs of arm64, its sources, and no boot loader', async () => {
  const { status, stdout } = await run('create-image-ubuntu', [
    ...['24.04', '--arch', 'arm64', '--target', 'maas', '--keyring', mirror.keyring],
    ...['--mirror', mirror.url, '--security-mirror', mirror.url],
    ...['--output', join(dir, 'bits'), '--cache', join(dir, 'cache')],
  ])
  assert.is(status, 0)
  assertNothingLeft(before)
  const tar = stdout.trim()
  assert.match(tar, /\/ubuntu-24\.04-arm64-\d{8}\.tar\.gz$/)
  const tree = join(dir, 'tree')
  const wanted = ['./usr/bin/ls', './etc/apt/sources.list', './var/lib/dpkg/status']
  execFileSync('mkdir', [tree])
  execFileSync('tar', ['-xzf', tar, '-C', tree, ...wanted])
  const read = (path: string) => execFileSync('cat', [join(tree, path)])
  assert.is(read('usr/bin/ls').readUInt16LE(18), EM_AARCH64)
  const sources = read('etc/apt/sources.list').toString()
  for (const suite of ['noble', 'noble-updates', 'noble-security']) {
    const line = `deb http://ports.ubuntu.com/ubuntu-ports ${suite} main `
    assert.match(sources, new RegExp(`^${line}`, 'm'))
  }
  assert.not.match(read('var/lib/dpkg/status').toString(), /^Package: (grub-efi|shim|linux-image)/m)
})
tars.run()
