/**
 * `create-image-ubuntu` with method bootstrap, on a mirror of Ubuntu's layout that has Debian's packages:
 * suites, components, key and scripts are Ubuntu's. What Ubuntu's own packages do is not shown here.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, needPackages, run, workDir } from '../live.ts'
import { startUbuntuMirror } from '../ubuntu-mirror.ts'

needPackages({ debugfs: 'e2fsprogs', mtype: 'mtools', xz: 'xz-utils' })

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt reads the keyring as a user of its own
const mirror = await startUbuntuMirror(dir, { codename: 'noble', version: '24.04' })
const before = leftovers()
const words = (keyring: string, output: string) => [
  ...['24.04', '--mirror', mirror.url, '--security-mirror', mirror.url, '--keyring', keyring],
  ...['--output', join(dir, output), '--cache', join(dir, 'cache'), '--size', '4G'],
]

const building = suite('create-image-ubuntu, bootstrap')
building.after(async () => {
  mirror.close()
  await remove()
})
building('refuses packages that another key has signed', async () => {
  const wrong = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const { status, stderr } = await run('create-image-ubuntu', words(wrong, 'bits-wrong'))
  assert.is(status, 1)
  assert.match(stderr, /^Error: .*(signature|not signed)/m)
  assertNothingLeft(before)
})
building('builds an image with the names that are Ubuntu’s', async () => {
  const { status, stdout } = await run('create-image-ubuntu', words(mirror.keyring, 'bits'))
  assert.is(status, 0)
  const manifest = stdout.trim()
  assert.match(manifest, /ubuntu-24\.04-\d{8}\.imgmanifest$/)
  assert.is((await run('inspect-image', [manifest])).status, 0)
  const raw = join(dir, 'disk.raw')
  const stream = manifest.replace('.imgmanifest', '.zfs.gz')
  assert.is((await run('convert-image', [stream, raw])).status, 0)
  const read = (path: string) =>
    execFileSync('debugfs', ['-R', `cat ${path}`, `${raw}?offset=${266240 * 512}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const components = 'main restricted universe multiverse'
  assert.is(
    read('/etc/apt/sources.list'),
    `deb http://archive.ubuntu.com/ubuntu noble ${components}\n` +
      `deb http://archive.ubuntu.com/ubuntu noble-updates ${components}\n` +
      `deb http://security.ubuntu.com/ubuntu noble-security ${components}\n`,
  )
  assert.match(read('/etc/motd'), /^ {2}Ubuntu 24\.04 \(noble\)$/m)
  assert.match(read('/etc/default/grub.d/51-hybrid-image-menu.cfg'), /GRUB_TIMEOUT_STYLE=menu/)
  assert.match(read('/var/lib/dpkg/status'), /^Package: grub-pc$/m)
  assert.is(read('/etc/grub.d/enable_cloud'), '')
  const grub = read('/boot/grub/grub.cfg')
  assert.match(grub, /^menuentry 'Ubuntu 24\.04 \(noble\), Linux \S+'/m)
  const esp = ['-i', `${raw}@@${2048 * 2 * 512}`]
  const leads = execFileSync('mtype', [...esp, '::/EFI/ubuntu/grub.cfg'], { encoding: 'utf8' })
  assert.match(leads, /^search\.fs_uuid \S+ root$/m)
  assert.match(leads, /configfile \$prefix\/grub\.cfg/)
  const loaders = execFileSync('mdir', [...esp, '-b', '::/EFI/BOOT'], { encoding: 'utf8' })
  assert.match(loaders.toLowerCase(), /bootx64\.efi[^]*grubx64\.efi[^]*mmx64\.efi/)
  assertNothingLeft(before)
})
building.run()
