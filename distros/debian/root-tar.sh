#!/bin/sh
# Last of a system that was made on a disk and ships as a root tar: whoever deploys it brings a boot loader and
# a table of file systems, and where no kernel was asked for, a kernel. Runs behind kernels.sh.
#
# Environment: CUSTOM_KERNEL (package, or nothing).
set -eu
export DEBIAN_FRONTEND=noninteractive

loaders=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'grub*' 'shim*' 2>/dev/null |
  sed -n 's/^installed //p')
# shim-signed calls itself protected.
# shellcheck disable=SC2086
if [ -n "$loaders" ]; then apt-get -q -y --allow-remove-essential purge $loaders; fi

if findmnt -n /boot/efi >/dev/null; then umount /boot/efi; fi
rm -rf /boot/efi /boot/grub
if [ -z "$CUSTOM_KERNEL" ]; then
  find /boot -mindepth 1 -delete
  rm -f /vmlinuz /vmlinuz.old /initrd.img /initrd.img.old
  rm -rf /lib/modules/*
fi
: >/etc/fstab
