#!/bin/sh
# Last of a system that was made on a disk and ships as a root tar: what names its file systems goes. Kernel and boot
# loaders stay, as whoever deploys it brings none: those for UEFI from their partition to the folder, which
# gets another partition.
#
# Environment: EFI_VENDOR.
set -eu

if findmnt -n /boot/efi >/dev/null; then
  mkdir /boot/esp
  cp -r /boot/efi/. /boot/esp/
  umount /boot/efi
  cp -r /boot/esp/. /boot/efi/
  rm -rf /boot/esp
fi
rm -f "/boot/efi/EFI/$EFI_VENDOR/grub.cfg" /boot/grub2/grub.cfg /boot/grub2/grubenv /etc/kernel/cmdline
# The menu's entries name the root of the build, and from 9.3 on stay so when the menu is made anew. As in 8 they take
# what is found then.
for entry in /boot/loader/entries/*.conf; do
  # shellcheck disable=SC2016
  if [ -f "$entry" ]; then sed -i 's/^options .*/options $kernelopts/' "$entry"; fi
done
: >/etc/fstab
