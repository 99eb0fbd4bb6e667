/**
 * `create-image-debian --layout lvm` by bootstrap: the disk that comes out of the image. That it boots is
 * tried by hand, see the README's table.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { makeLayout } from '../../lib/disk/layout.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  workDir,
} from '../live.ts'
import { lvm, report, sh, withLoop } from '../lvm-tools.ts'

needPackages({ debugfs: 'e2fsprogs', lsinitramfs: 'initramfs-tools-core', zstd: 'zstd' })

const GIB = 1024 ** 3
const { dir, remove } = await workDir()
const before = leftovers()
const raw = join(dir, 'disk.raw')
const { system, root } = makeLayout('lvm', 4 * GIB, '') // offsets are those of every seed

/** GRUB reads a file by its own way through partition, group and volume. */
const read = (path: string) => sh(['grub-fstest', raw, 'cat', `(lvm/rootvg-rootlv)${path}`])

const building = suite('create-image-debian --layout lvm, bootstrap')
building.after(remove)
building('builds an image that inspect-image finds whole', async () => {
  const { status, stdout } = await run('create-image-debian', [
    ...['12', '--layout', 'lvm', '--method', 'bootstrap', '--size', '4G'],
    ...['--output', join(dir, 'bits'), '--cache', join(dir, 'cache'), ...machineMirrors()],
  ])
  assert.is(status, 0)
  assertNothingLeft(before)
  const manifest = stdout.trim()
  assert.is((await run('inspect-image', [manifest])).status, 0)
  const stream = manifest.replace('.imgmanifest', '.zfs.gz')
  assert.is((await run('convert-image', [stream, raw])).status, 0)
})
building('has a group that lvm finds sound, and a file system that e2fsck does', async () => {
  sh(['sfdisk', '--verify', '--quiet', raw])
  await withLoop(raw, system.offset, async (device) => {
    lvm(device, 'pvck', '--dump', 'headers', device)
    lvm(device, 'vgck', 'rootvg')
    assert.is(report(device, 'lvs', 'vg_name,lv_name,lv_size'), `rootvg rootlv ${root.length}`)
  })
  await withLoop(raw, root.offset, async (device) => {
    sh(['e2fsck', '-fn', device])
  })
})
building('boots from the volume, which has /boot on it', () => {
  const menu = read('/boot/grub/grub.cfg')
  assert.match(menu, /^insmod lvm$/m)
  assert.match(menu, /^ {2}linux \/boot\/vmlinuz-\S+ root=\/dev\/mapper\/rootvg-rootlv ro /m)
  assert.match(read('/etc/fstab'), /^UUID=\S+ \/ ext4 /m)
})
building('has lvm, in its initramfs as well, and what grows the volume', async () => {
  assert.match(read('/var/lib/dpkg/status'), /^Package: lvm2$/m)
  await withLoop(raw, root.offset, async (device) => {
    const debugfs = (request: string) => sh(['debugfs', '-R', request, device])
    const units = debugfs('ls -p /etc/systemd/system/sysinit.target.wants')
    assert.match(units, /\/triton-grow-root\.service\//)
    const [initramfs] = /initrd\.img-[^/]+/.exec(debugfs('ls -p /boot'))!
    debugfs(`dump /boot/${initramfs} ${dir}/initramfs`)
  })
  const files = sh(['lsinitramfs', `${dir}/initramfs`])
  assert.match(files, /^usr\/sbin\/lvm$/m)
  assert.match(files, /\/dm-mod\.ko/)
  // All modules are copied at once there: that initramfs.sh makes the bytes of update-initramfs, test:images shows.
  sh(['unmkinitramfs', `${dir}/initramfs`, `${dir}/unpacked`])
  const modules = (...more: string[]) =>
    sh(['find', `${dir}/unpacked`, '-name', '*.ko', ...more])
      .split('\n')
      .filter(Boolean)
  assert.ok(modules().length > 300, `${modules().length} modules`)
  assert.equal(modules('-size', '0'), [])
})
building.run()
