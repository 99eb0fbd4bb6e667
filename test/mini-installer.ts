/**
 * A tiny installer for tests: Debian's cloud kernel with busybox, which does what `do=` says, among the
 * kernel's arguments or in answers at /preseed.cfg. It is made of packages that this machine's apt brings, none of them installed.
 */
import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Modules for a virtio disk, in the order in which they need each other. */
const MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  'virtio_blk',
]

/** Says JOYENT_STATUS_DISK=ok on the first serial port, and switches QEMU's q35 off. */
const BOOT_SECTOR = Buffer.from(
  'McCO2L4mfKyEwHQSiMS6/QPsqCB0+4jguvgD7uvpugQGuAAg7/RKT1lFTlRfU1RBVFVTX0RJU0s9b2sKAA==',
  'base64',
)
const octal = (bytes: Buffer) =>
  [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/ttyS0
for module in ${MODULES.join(' ')}; do insmod /modules/$module.ko || poweroff -f; done
test -e /preseed.cfg || : >/preseed.cfg
what=$(cat /proc/cmdline /preseed.cfg | sed -n 's/.*do=\\([a-z-]*\\).*/\\1/p')
echo 'Phase one: network'
echo "main-menu[1]: INFO: Menu item 'netcfg' selected"
echo 'JOYENT_STATUS_PRE=ok'
echo 'Phase two: partitions'
case $what in
  good) tr '\\0' 'x' </dev/zero | dd of=/dev/vda bs=4k count=1024 iflag=fullblock 2>/dev/null || poweroff -f; sync ;;
  nothing) poweroff -f ;;
  again) printf '${octal(BOOT_SECTOR)}' | dd of=/dev/vda conv=notrunc 2>/dev/null
    printf '\\125\\252' | dd of=/dev/vda bs=1 seek=510 conv=notrunc 2>/dev/null ;;
  silent) sleep 1000 ;;
  chatty) while :; do echo 'still at it'; sleep 1; done ;;
  panic) echo c >/proc/sysrq-trigger; sleep 100 ;;
  question) printf "Select a language\\n-----------------\\n  1: C\\nPrompt: '?' for help> "; sleep 1000 ;;
  fill) tr '\\0' 'x' </dev/zero | dd of=/dev/vda bs=4k count=50000; sync; sleep 1000 ;;
  early-fail) echo 'main-menu: WARNING: Configuring base-installer failed with error code 1'
    echo 'JOYENT_STATUS_POST=fail'; sleep 1000 ;;
esac
echo 'Phase three: boot loader'
case $what in
  reboot | again) echo 'going round'; sync; reboot -f ;;
  unmarked) ;;
  unexpected) echo 'JOYENT_STATUS_POST=ok'; echo 'JOYENT_STATUS_DRIVERS=ok' ;;
  late) echo 'grub-installer: error: cannot install GRUB'; echo 'JOYENT_STATUS_POST=fail' ;;
  *) echo 'JOYENT_STATUS_POST=ok' ;;
esac
poweroff -f
`

/** Kernel and initramfs below a directory. */
export async function makeMiniInstaller(dir: string): Promise<{ kernel: string; initrd: string }> {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], {
    encoding: 'utf8',
  })
  const [image] = /linux-image-\d\S+/.exec(depends)!
  execFileSync('apt-get', ['download', image, 'busybox-static'], {
    cwd: dir,
    stdio: 'ignore',
  })
  for (const name of await readdir(dir)) {
    if (name.endsWith('.deb')) execFileSync('dpkg-deb', ['-x', name, 'packages'], { cwd: dir })
  }
  const root = join(dir, 'initramfs')
  for (const name of ['bin', 'proc', 'dev', 'modules'])
    await mkdir(join(root, name), { recursive: true })
  await cp(join(dir, 'packages/bin/busybox'), join(root, 'bin/busybox'))
  const applets = [
    'sh',
    'cat',
    'test',
    'mount',
    'sed',
    'insmod',
    'sleep',
    'dd',
    'tr',
    'sync',
    'poweroff',
    'reboot',
    'printf',
  ]
  for (const name of applets) await symlink('busybox', join(root, 'bin', name))
  for (const name of MODULES) {
    const found = execFileSync('find', [join(dir, 'packages/lib/modules'), '-name', `${name}.ko`], {
      encoding: 'utf8',
    })
    await cp(found.trim(), join(root, 'modules', `${name}.ko`))
  }
  await writeFile(join(root, 'init'), INIT)
  await chmod(join(root, 'init'), 0o755)
  execFileSync(
    'sh',
    ['-c', 'cd initramfs && find . | cpio --quiet -o -H newc | gzip >../initrd.gz'],
    {
      cwd: dir,
    },
  )
  const [kernel] = (await readdir(join(dir, 'packages/boot'))).filter((name) =>
    /^vmlinuz/.test(name),
  )
  return { kernel: join(dir, 'packages/boot', kernel!), initrd: join(dir, 'initrd.gz') }
}

/** A medium laid out as the vendor's, whose installer is told what to do by its answers. */
export async function makeMiniMedium(
  installer: { kernel: string; initrd: string },
  iso: string,
): Promise<void> {
  const tree = `${iso}.tree`
  await mkdir(tree)
  await cp(installer.kernel, join(tree, 'linux'))
  await cp(installer.initrd, join(tree, 'initrd.gz'))
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-J', '-R', '-o', iso, tree], {
    stdio: 'ignore',
  })
}

/** A CD that boots the installer by its own boot loader, told what to do. */
export async function makeMiniIso(
  installer: { kernel: string; initrd: string },
  what: string,
  iso: string,
): Promise<void> {
  const tree = `${iso}.tree`
  await mkdir(join(tree, 'boot/grub'), { recursive: true })
  await cp(installer.kernel, join(tree, 'vmlinuz'))
  await cp(installer.initrd, join(tree, 'initrd.gz'))
  const menu = `linux /vmlinuz console=ttyS0 rdinit=/init do=${what}\ninitrd /initrd.gz\nboot\n`
  await writeFile(join(tree, 'boot/grub/grub.cfg'), menu)
  execFileSync('grub-mkrescue', ['-o', iso, tree], { stdio: 'ignore' })
}
