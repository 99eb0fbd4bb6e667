/** Images for arm64, built and booted: by bootstrap, and by method cloud-image with the first as its base. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { bootArm64, buildArm64 } from '../arm64.ts'
import { assertNothingLeft, leftovers, machineMirrors, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const before = leftovers()
const mirrors = machineMirrors()
let plain: string

const images = suite('images for arm64')
images.after(remove)
images('boot, and go on booting with what GRUB’s package puts in place', async () => {
  plain = await buildArm64(dir, 'plain', ...mirrors)
  assertNothingLeft(before)
  const copy = join(dir, 'renewed.raw')
  execFileSync('cp', ['--sparse=always', plain, copy])
  await bootArm64(copy, async ({ ask, off }) => {
    assert.match(await ask('uname -m'), /^aarch64$/m)
    assert.match(await ask('cat /sys/class/tty/console/active'), /ttyAMA0/)
    assert.match(await ask('cat /proc/cmdline'), /^BOOT_IMAGE=(?!.*console=)/m)
    assert.match(await ask('systemctl --failed --no-legend | wc -l'), /^0$/m)
    await ask('cloud-init status --wait || true') // it holds debconf's lock for a while
    await ask('find /boot/efi -iname "*.efi" -delete')
    await ask('DEBIAN_FRONTEND=noninteractive dpkg-reconfigure grub-efi-arm64')
    assert.match(await ask('ls /boot/efi/EFI/BOOT'), /BOOTAA64\.EFI/)
    await off()
  })
  await bootArm64(copy, async ({ ask }) => {
    assert.match(await ask('cat /sys/class/tty/console/active'), /ttyAMA0/)
  })
  assertNothingLeft(before)
})
images('of a cloud image boot', async () => {
  const base = join(dir, 'base.qcow2')
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', plain, base])
  // The guest knows no certificates that somebody gave this machine.
  const guestMirrors = mirrors.map((word) => word.replace(/^https:/, 'http:'))
  const words = ['--method', 'cloud-image', '--base', base, '--include', 'hello', ...guestMirrors]
  await bootArm64(await buildArm64(dir, 'cloud', ...words), async ({ ask }) => {
    assert.match(await ask('hello'), /^Hello, world!$/m)
  })
  assertNothingLeft(before)
})
images.run()
