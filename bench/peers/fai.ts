/** fai-diskimage: debootstrap and apt on a mounted loop device, from a configuration space of one class. */
import { join } from 'node:path'
import type { Peer } from './peer.ts'

export const fai: Peer = {
  name: 'fai-diskimage',
  needs: {
    'fai-diskimage': 'fai-server',
    'setup-storage': 'fai-setup-storage',
    debootstrap: 'debootstrap',
    'qemu-img': 'qemu-utils',
  },
  hasCache: false,
  note: 'losetup and parted stand-ins, an empty /run/udev; the main suite alone',
  bootLoader: true,
  prepare({ dir, codename, mirror, packages, gib }) {
    const disk = join(dir, 'fai.raw')
    const files = {
      'fai.conf': `LOGUSER=\n`,
      'nfsroot.conf': `NFSROOT=${dir}/none\n`,
      variables: `FAI_DEBOOTSTRAP="${codename} ${mirror}"\nFAI_DEBOOTSTRAP_OPTS=--variant=minbase\n`,
      disk_config: 'disk_config disk1 disklabel:gpt-bios fstabkey:uuid\nprimary / 300- ext4 rw\n',
      package_config: `PACKAGES install-norec\n${packages.join(' ')}\n`,
      script:
        '#!/bin/sh\nset -e\n$ROOTCMD grub-install --target=i386-pc $BOOT_DEVICE\n$ROOTCMD update-grub\n',
    }
    const words = [
      '-C',
      dir,
      '-u',
      'bench',
      '-s',
      join(dir, 'space'),
      '-c',
      'BENCH',
      '-S',
      `${gib}G`,
    ]
    const command = [
      `cd ${dir}`,
      'mkdir -p /run/udev space/class space/debconf space/disk_config space/package_config space/scripts/BENCH',
      'cp variables space/class/BENCH.var && cp disk_config space/disk_config/BENCH && cp package_config space/package_config/BENCH',
      'install -m 755 script space/scripts/BENCH/10-grub',
      `fai-diskimage -v ${words.join(' ')} ${disk}`,
    ].join('\n')
    return { files, command, disk }
  },
}
