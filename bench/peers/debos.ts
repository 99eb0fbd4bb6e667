/** debos without its virtual machine: debootstrap and apt in a container, then copied onto a mounted loop device. */
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Peer } from './peer.ts'

export const debos: Peer = {
  name: 'debos',
  needs: {
    debos: 'debos',
    debootstrap: 'debootstrap',
    parted: 'parted',
    'systemd-nspawn': 'systemd-container',
  },
  hasCache: false,
  note: '--disable-fakemachine; a tmpfs at /run, an empty /dev/disk; parted and udevadm stand-ins; the main suite alone',
  bootLoader: true,
  prepare({ dir, codename, mirror, packages, gib }) {
    const disk = join(dir, 'debos.raw')
    const actions = [
      { action: 'debootstrap', suite: codename, components: ['main'], mirror, variant: 'minbase' },
      { action: 'apt', recommends: false, packages },
      {
        action: 'image-partition',
        imagename: 'debos.raw',
        imagesize: `${gib}GiB`,
        partitiontype: 'gpt',
        mountpoints: [{ mountpoint: '/', partition: 'root' }],
        partitions: [
          { name: 'bios', fs: 'none', start: '1MiB', end: '3MiB', flags: ['bios_grub'] },
          { name: 'root', fs: 'ext4', start: '3MiB', end: '100%' },
        ],
      },
      { action: 'filesystem-deploy' },
      {
        action: 'run',
        chroot: true,
        command: 'grub-install --target=i386-pc $IMAGE && update-grub',
      },
    ]
    const words = ['--disable-fakemachine', `--artifactdir=${dir}`, 'debos.yaml']
    return {
      files: { 'debos.yaml': stringify({ architecture: 'amd64', actions }) },
      command: `mkdir -p /dev/disk && cd ${dir} && debos ${words.join(' ')}`,
      disk,
    }
  },
}
