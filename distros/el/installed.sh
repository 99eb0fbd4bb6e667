#!/bin/sh
# After the installer, which was booted by BIOS, or in a cloud image: initramfs and menu anew, and GRUB for UEFI.
# The loader for BIOS is there already.
#
# Environment: EFI_VENDOR (folder of the vendor's signed boot loader). Runs inside the new system, with
# /boot/efi mounted.
set -eu

# Enterprise Linux 7 writes commands that only GRUB for BIOS knows; both know these.
sed -i 's/sixteenbit="16"/sixteenbit=""/' /etc/grub.d/10_linux

dracut --force --regenerate-all
update=
if grub2-mkconfig --help | grep -q update-bls-cmdline; then update=--update-bls-cmdline; fi
grub2-mkconfig $update -o /boot/grub2/grub.cfg

# Some cloud images boot from BIOS only, and have no place for more.
if [ ! -d "/boot/efi/EFI/$EFI_VENDOR" ]; then exit 0; fi

# The signed GRUB looks here, and is led to the one menu that there is.
boot=$(blkid -s UUID -o value "$(findmnt -n -o SOURCE --target /boot)")
prefix=/grub2
if [ "$(findmnt -n -o TARGET --target /boot)" = / ]; then prefix=/boot/grub2; fi
cat >"/boot/efi/EFI/$EFI_VENDOR/grub.cfg" <<GRUB
search --no-floppy --fs-uuid --set=dev $boot
set prefix=(\$dev)$prefix
export \$prefix
configfile \$prefix/grub.cfg
GRUB
# Firmware that knows no entry starts this; without the vendor's helper, which would write entries and
# restart, it goes on to GRUB beside it.
mkdir -p /boot/efi/EFI/BOOT
cp "/boot/efi/EFI/$EFI_VENDOR/grubx64.efi" /boot/efi/EFI/BOOT/
rm -f /boot/efi/EFI/BOOT/fbx64.efi
[ -f /boot/efi/EFI/BOOT/BOOTX64.EFI ] || cp "/boot/efi/EFI/$EFI_VENDOR/shimx64.efi" \
  /boot/efi/EFI/BOOT/BOOTX64.EFI
