/**
 * Installation media laid out as vendors lay them out, around a tiny installer that finds its answers as
 * the vendor's would, checks that they are meant for it, and runs what they want to be run in a new root
 * file system on the disk. Programs of a real system are stand-ins there: each prints its words on the
 * console, and does only what the next step needs.
 */
import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Modules for a disk, a CD and a file system, in the order in which they need each other. */
const MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  ...[
    'virtio_blk',
    'scsi_common',
    'scsi_mod',
    'cdrom',
    'sr_mod',
    'libata',
    'ata_generic',
    'ata_piix',
    'isofs',
  ],
  ...['crc16', 'mbcache', 'jbd2', 'crc32c_generic', 'ext4'],
]

/** What both kinds of installer begin with. */
const START = `#!/bin/sh
/bin/busybox mkdir -p /bin && for one in $(/bin/busybox --list); do [ -e /bin/$one ] || /bin/busybox ln -s busybox /bin/$one; done
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
for module in ${MODULES.join(' ')}; do
  [ ! -f /modules/$module.ko ] || insmod /modules/$module.ko || echo "no module $module"
done
argument() { sed -n "s/.*\\(^\\| \\)$1=\\([^ ]*\\).*/\\2/p" /proc/cmdline; }
give_up() { echo "installer: error: $1"; echo JOYENT_STATUS_POST=fail; sync; poweroff -f; }
# The new system: a root with the same few programs, on the first disk.
new_root() {
  mke2fs -F $1 >/dev/null || give_up 'no disk'
  mkdir -p /target; mount -t ext4 $1 /target || give_up 'no file system'
  cp -a /bin /lib /lib64 /stand-ins /target/
  for dir in dev etc etc/default etc/grub.d etc/ssh etc/dracut.conf.d etc/sysctl.d etc/tuned etc/cloud \\
    etc/yum.repos.d etc/sysconfig/network-scripts etc/udev/rules.d etc/rc.d/init.d boot/grub \\
    mnt proc sys tmp root etc/apt/sources.list.d var/lib/dpkg/info boot/grub2 boot/efi/EFI/@VENDOR@ var/tmp var/log var/lib usr/sbin usr/bin lib; do
    mkdir -p /target/$dir
  done
  echo PasswordAuthentication yes >/target/etc/ssh/sshd_config
  echo sixteenbit=16 >/target/etc/grub.d/10_linux
  echo GRUB_TERMINAL_OUTPUT=console >/target/etc/default/grub
  echo '# no repository' >/target/etc/yum.repos.d/CentOS-Base.repo
  case @VENDOR@ in centos)
    printf 'mirrorlist=http://mirrorlist.centos.org/\\n#baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/\\n' \\
      >/target/etc/yum.repos.d/CentOS-Base.repo ;;
  esac
  printf 'timeout=0\\nsplashimage=x\\nhiddenmenu\\n' >/target/boot/grub/grub.conf
  echo loader >/target/boot/efi/EFI/@VENDOR@/grubx64.efi
  echo loader >/target/boot/efi/EFI/@VENDOR@/shimx64.efi
  for one in dev proc sys; do mount -o bind /$one /target/$one; done
}
label_of() { dd if=$1 bs=1 skip=32808 count=32 2>/dev/null | sed 's/ *$//'; }
in_root() { chroot /target /bin/env PATH=/stand-ins:/usr/sbin:/bin "$@"; }
`

/** Anaconda: kickstart from the initrd, packages from where it says, sections as scripts. */
const ANACONDA = `
label=$(argument inst.stage2 | sed 's/^hd:LABEL=//; s/\\\\x20/ /g')
found=$(label_of /dev/sr0)
[ "$label" = "$found" ] || give_up "no stage2: asked for $label, the CD is $found"
answers=$(argument inst.ks | sed 's/^file://')
[ -s "$answers" ] || give_up "no kickstart at $answers"
section() { sed -n "/^%$1/,/^%end/p" "$answers" | sed '1d;$d'; }
echo 'anaconda 1.0 for a test started.'
for wanted in '^lang ' '^rootpw ' '^poweroff$' '^part .*--onpart=vda' '^url --url=http'; do
  grep -q "$wanted" "$answers" || give_up "the answers lack $wanted"
done
grep '^logvol' "$answers"
PATH=/stand-ins:$PATH; export PATH
section pre >/pre; sh /pre
PATH=/bin; export PATH
echo 'Starting package installation process'
section packages | sed 's/^/package: /'
new_root /dev/vda
echo 'Running post-installation scripts'
section post >/target/tmp/post; in_root /bin/sh /tmp/post
sed 's/^/repository: /' /target/etc/yum.repos.d/CentOS-Base.repo
sync; poweroff -f
`

/** The same of Enterprise Linux 6: words without a prefix, partitions of its own making, no systemd. */
const ANACONDA_6 = `
answers=$(argument ks | sed 's/^file://')
[ -s "$answers" ] || give_up "no kickstart at $answers"
section() { sed -n "/^%$1/,/^%end/p" "$answers" | sed '1d;$d'; }
echo 'Running anaconda 13 for a test'
for wanted in '^lang ' '^rootpw ' '^poweroff$' '^zerombr$' '^part .*--ondisk=vda' '^url --url=http'; do
  grep -q "$wanted" "$answers" || give_up "the answers lack $wanted"
done
grep '^logvol' "$answers"
section pre >/pre; sh /pre
section packages | sed 's/^/package: /'
new_root /dev/vda
rm /target/stand-ins/systemctl
section post >/target/tmp/post; in_root /bin/sh /tmp/post
sed 's/^/repository: /' /target/etc/yum.repos.d/CentOS-Base.repo
sed 's/^/menu: /' /target/boot/grub/grub.conf
sync; poweroff -f
`

/** Subiquity: autoinstall from the CD that cloud-init would look for, storage, commands. */
const SUBIQUITY = `
grep -qw autoinstall /proc/cmdline || give_up 'no word autoinstall: it would ask'
for cd in /dev/sr1 /dev/sr0; do
  case $(label_of $cd) in CIDATA | cidata) found=$cd ;; esac
done
[ -n "$found" ] || give_up 'no CD of answers'
mkdir -p /dev/disk/by-label /cidata /run; ln -s $found /dev/disk/by-label/CIDATA
mount -t iso9660 -o ro $found /cidata || give_up 'the CD is none'
answers=/cidata/user-data
[ "$(head -n 1 $answers)" = '#cloud-config' ] || give_up 'cloud-init passes over the answers'
grep -q '^instance-id: ' /cidata/meta-data || give_up 'no meta-data'
for wanted in '^autoinstall:$' '^  version: 1$' '^  user-data: ' '^  shutdown: poweroff$' \\
  'type: disk, .*path: /dev/vda' 'flag: bios_grub' 'path: /boot/efi' 'uri: "http'; do
  grep -q "$wanted" $answers || give_up "the answers lack $wanted"
done
grep 'type: lvm_partition' $answers
commands() { sed -n "/^  $1-commands:/,/^  [a-z]/p" $answers | sed -n 's/^    - //p'; }
run_all() {
  commands $1 >/commands
  while read -r command; do PATH=/live:/bin sh -c "$command" </dev/null || give_up "$1: $command"; done </commands
}
echo 'subiquity/Early/run'
mkdir -p /live; cp /stand-ins/journalctl /stand-ins/curtin /live/
run_all early
echo 'subiquity/Install/install/curtin_install: partitioning'
printf '%s\\n' 'label: gpt' 'size=1MiB' 'size=128MiB' '' | sed '$s/^$/,/' | sfdisk -q /dev/vda || give_up 'no partitions'
sleep 1
echo 'subiquity/Install/install/curtin_install: extract'
sed -n 's/^  packages: \\[\\(.*\\)\\]$/\\1/p' $answers | tr , '\\n' | sed 's/^ */package: /'
new_root /dev/vda3
mkdir -p /target/etc/cloud/cloud.cfg.d
for name in cloud.cfg.d/99-installer.cfg cloud.cfg.d/20-disable-cc-dpkg-grub.cfg ds-identify.cfg; do
  echo 'datasource_list: [None]' >/target/etc/cloud/$name
done
mkdir -p /target/etc/apt/apt.conf.d
echo 'Acquire::http::Proxy "http://proxy";' >/target/etc/apt/apt.conf.d/90curtin-aptproxy
echo 'subiquity/Late/run'
run_all late
echo "left in cloud-init: $(grep -rl None /target/etc/cloud)"
echo "left in apt: $(ls /target/etc/apt/apt.conf.d)"
echo logs >/target/var/log/installer/log; umount /target/var/log/installer
echo "left of the logs: $(ls /target/var/log/installer)"
sync; poweroff -f
`

/** The installers that there are. */
const INSTALLERS = { anaconda: ANACONDA, anaconda6: ANACONDA_6, subiquity: SUBIQUITY }

/** Stand-ins: what they are called with is what a test looks at. */
const STAND_INS: Record<string, string> = {
  parted: '',
  udevadm: '',
  'mkfs.vfat': '',
  // No partition is mounted in the new system: what was put on it before appears in the folder. What binds
  // one folder to another does so.
  mount:
    'if [ "$1" = --bind ]; then busybox mount -o bind "$2" "$3"; elif [ "$2" != /mnt ]; then cp -r /mnt/. "$2"/; fi',
  umount: 'if [ "$1" = /mnt ]; then busybox umount /mnt 2>/dev/null; fi',
  chkconfig: '',
  journalctl: 'exit',
  curtin:
    'echo "stand-in: curtin $*"; shift 3; exec chroot /target /bin/env PATH=/stand-ins:/usr/sbin:/bin "$@"',
  'debconf-set-selections': 'cat >/dev/null',
  'grub-install': 'case "$*" in *--help*) exit ;; esac',
  'update-grub': '',
  'apt-get': '',
  sfdisk: '',
  findmnt:
    'for last; do :; done; case $last in /) echo /dev/vda4 ;; *) echo /dev/vda2 ;; esac; exit',
  blkid: 'echo AAAA-BBBB; exit',
  lsblk: 'echo vda; exit',
  systemctl: '',
  usermod: '',
  dracut: '',
  'grub2-mkconfig': 'case "$*" in *--help*) echo --update-bls-cmdline; exit ;; esac',
  dnf: '',
  setfiles: '',
  fstrim: '',
  tuned: '',
}

export type VendorKit = { kernel: string; modules: string; busybox: string }

/** Kernel, its modules and busybox, of packages that this machine's apt brings. */
export async function vendorKit(dir: string): Promise<VendorKit> {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' })
  const [image] = /linux-image-\d\S+/.exec(depends)!
  execFileSync('apt-get', ['download', image, 'busybox-static'], { cwd: dir, stdio: 'ignore' })
  for (const name of await readdir(dir)) {
    if (name.endsWith('.deb')) execFileSync('dpkg-deb', ['-x', name, 'kit'], { cwd: dir })
  }
  const boot = join(dir, 'kit/boot')
  const [kernel] = (await readdir(boot)).filter((name) => name.startsWith('vmlinuz'))
  return {
    kernel: join(boot, kernel!),
    modules: join(dir, 'kit/lib/modules'),
    busybox: join(dir, 'kit/bin/busybox'),
  }
}

export type VendorMedium = {
  label: string
  /** Texts on the medium, by path. */
  notes: Readonly<Record<string, string>>
  kernel: string
  initrd: string
  /** Folder of the vendor's signed boot loader. */
  vendor: string
  installer: keyof typeof INSTALLERS
}

/** A medium whose installer is as described. */
export async function makeVendorMedium(
  kit: VendorKit,
  medium: VendorMedium,
  iso: string,
): Promise<void> {
  const root = `${iso}.initramfs`
  for (const name of ['bin', 'proc', 'sys', 'dev', 'modules', 'stand-ins', 'tmp', 'mnt'])
    await mkdir(join(root, name), { recursive: true })
  await cp(kit.busybox, join(root, 'bin/busybox'))
  // Busybox' own shell prefers its programs to those in $PATH, stand-ins of the same name included; and
  // it has no install and no sfdisk, and less of a few others.
  await cp('/bin/dash', join(root, 'bin/sh'))
  const programs = ['bin/install', 'bin/tar', 'bin/dd', 'bin/find', 'sbin/sfdisk'].map(
    (name) => `/usr/${name}`,
  )
  for (const path of programs) await cp(path, join(root, 'bin', basename(path)))
  const linked = execFileSync('ldd', ['/bin/dash', ...programs], { encoding: 'utf8' })
  for (const [, path] of linked.matchAll(/(?:=> |^\t)(\/\S+) \(/gm)) {
    await mkdir(dirname(join(root, path!)), { recursive: true })
    await cp(path!, join(root, path!), { dereference: true })
  }
  for (const name of MODULES) {
    const found = execFileSync('find', [kit.modules, '-name', `${name}.ko`], { encoding: 'utf8' })
    const [path] = found.split('\n')
    if (path) await cp(path, join(root, 'modules', `${name}.ko`)) // others are in the kernel
  }
  for (const [name, body] of Object.entries(STAND_INS)) {
    const path = join(root, 'stand-ins', name)
    await writeFile(path, `#!/bin/sh\n${body}\necho "stand-in: ${name} $*" >/dev/ttyS0\n`)
    await chmod(path, 0o755)
  }
  await writeFile(
    join(root, 'init'),
    (START + INSTALLERS[medium.installer]).replaceAll('@VENDOR@', medium.vendor),
  )
  await chmod(join(root, 'init'), 0o755)
  const tree = `${iso}.tree`
  const put = async (path: string) => {
    const place = join(tree, path)
    await mkdir(dirname(place), { recursive: true })
    return place
  }
  execFileSync(
    'sh',
    ['-c', 'find . | cpio --quiet -o -H newc | gzip >"$1"', 'sh', await put(medium.initrd)],
    {
      cwd: root,
    },
  )
  await cp(kit.kernel, await put(medium.kernel))
  for (const [path, text] of Object.entries(medium.notes)) await writeFile(await put(path), text)
  execFileSync(
    'xorriso',
    ['-as', 'mkisofs', '-quiet', '-J', '-R', '-V', medium.label, '-o', iso, tree],
    {
      stdio: 'ignore',
    },
  )
}
