/** vmdb2: debootstrap and apt on a mounted loop device. Its own step for GRUB wants grub-pc, which is not ours. */
import { join } from 'node:path'
import { stringify } from 'yaml'
import { installGrub, type Peer } from './peer.ts'

export const vmdb2: Peer = {
  name: 'vmdb2',
  needs: {
    vmdb2: 'vmdb2',
    debootstrap: 'debootstrap',
    parted: 'parted',
    'qemu-img': 'qemu-utils',
  },
  hasCache: false,
  note: 'grub-install in a shell step; kpartx stand-in; adds eatmydata; the main suite alone',
  bootLoader: true,
  prepare({ dir, codename, mirror, packages, gib }) {
    const disk = join(dir, 'vmdb2.raw')
    const steps = [
      { mkimg: disk, size: `${gib}G` },
      { mklabel: 'gpt', device: disk },
      { mkpart: 'primary', device: disk, start: '1MiB', end: '3MiB', tag: 'bios' },
      { mkpart: 'primary', device: disk, start: '3MiB', end: '100%', tag: 'root' },
      { set_part_flag: disk, tag: 'bios', flag: 'bios_grub' },
      { kpartx: disk },
      { mkfs: 'ext4', partition: 'root' },
      { mount: 'root' },
      { debootstrap: codename, mirror, target: 'root', variant: 'minbase' },
      { apt: 'install', packages, tag: 'root', recommends: false },
      {
        shell: installGrub('"$ROOT"', '"$(losetup -n -O NAME -j ' + disk + ')"'),
        'root-fs': 'root',
      },
    ]
    return {
      files: { 'vmdb2.yaml': stringify({ steps }) },
      command: `cd ${dir} && vmdb2 --log ${dir}/vmdb2.log --output ${disk} vmdb2.yaml`,
      disk,
    }
  },
}
