/**
 * mkosi 14: debootstrap and apt on a mounted loop device, in a container of systemd-nspawn.
 *
 * Its own boot loader needs a mounted FAT file system, which kernels for small machines lack: the disk has kernel
 * and initramfs, and no boot loader. That is less work than ours.
 */
import { join } from 'node:path'
import type { Peer } from './peer.ts'

export const mkosi: Peer = {
  name: 'mkosi',
  needs: {
    mkosi: 'mkosi',
    debootstrap: 'debootstrap',
    'systemd-nspawn': 'systemd-container',
  },
  hasCache: true,
  note: '--bootable=no: no boot loader, initramfs by a script; --nspawn-keep-unit, a tmpfs at /run; losetup stand-in',
  bootLoader: false,
  prepare({ dir, cache, codename, mirror, packages, gib }) {
    const disk = join(dir, 'mkosi.raw')
    const words = [
      ...['--distribution=debian', `--release=${codename}`, `--mirror=${mirror}`],
      ...['--format=gpt_ext4', '--bootable=no', `--root-size=${gib - 1}G`],
      ...['--base-packages=no', `--package=${packages.join(',')}`, '--with-docs=yes'],
      ...['--with-network=yes', '--nspawn-keep-unit'],
      `--postinst-script=${dir}/postinst`,
      ...[`--cache=${cache}`, `--workspace-dir=${dir}`, `--output=${disk}`, 'build'],
    ]
    return {
      files: { postinst: '#!/bin/sh\nset -e\n[ "$1" != final ] || update-initramfs -c -k all\n' },
      command: `mkdir -p ${cache} && chmod +x ${dir}/postinst && cd ${dir} && mkosi ${words.join(' ')}`,
      disk,
    }
  },
}
