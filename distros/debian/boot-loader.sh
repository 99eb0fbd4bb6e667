#!/bin/sh
# Prepares GRUB inside a new system whose disk does not exist yet (method bootstrap): the modules
# below /boot/grub, core.img for BIOS, grub.cfg, and the file that the signed GRUB for UEFI reads.
# All is made by the guest's own GRUB, so that modules and cores are of one version and a later
# grub-install in the guest finds what it expects. grub-mkconfig can't run here, as it asks for the
# device below /: the first kernel update in the guest replaces this grub.cfg by its own.
#
# Environment: TITLE, ROOT_UUID, ROOT_DEVICE (the kernel's root=), KERNEL_ARGUMENTS, GRUB_TERMINALS; GRUB_BIOS
# ("i386-pc", or nothing where UEFI alone boots) and GRUB_EFI, GRUB's platforms; EFI_SUFFIX ("x64").
set -eu

mkdir -p /boot/grub/fonts
for platform in $GRUB_BIOS $GRUB_EFI; do
  mkdir -p /boot/grub/$platform
  cp /usr/lib/grub/$platform/*.mod /usr/lib/grub/$platform/*.lst /boot/grub/$platform/
done
cp /usr/share/grub/unicode.pf2 /boot/grub/fonts/

cat >/boot/grub/load.cfg <<END
search.fs_uuid $ROOT_UUID root
set prefix=(\$root)/boot/grub
END
# What leads from the disk to the file system.
case $ROOT_DEVICE in
/dev/mapper/*) modules='part_gpt lvm ext2' ;;
*) modules='part_gpt ext2' ;;
esac
if [ -n "$GRUB_BIOS" ]; then
  cp /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/
  grub-mkimage --format=i386-pc --output=/boot/grub/i386-pc/core.img \
    --prefix=/boot/grub --config=/boot/grub/load.cfg \
    biosdisk $modules search_fs_uuid
fi

# What goes to the EFI system partition, under one name each whatever the release calls it; the
# configuration is what grub-install would write there.
esp=$(dirname "$0")/esp
mkdir -p "$esp"
cp "/usr/lib/shim/shim$EFI_SUFFIX.efi.signed" "$esp/shim$EFI_SUFFIX.efi"
cp "/usr/lib/grub/$GRUB_EFI-signed/grub$EFI_SUFFIX.efi.signed" "$esp/grub$EFI_SUFFIX.efi"
for file in "/usr/lib/shim/mm$EFI_SUFFIX.efi" "/usr/lib/shim/mm$EFI_SUFFIX.efi.signed"; do
  if [ -f "$file" ]; then cp "$file" "$esp/mm$EFI_SUFFIX.efi"; fi
done
{ cat /boot/grub/load.cfg; echo 'configfile $prefix/grub.cfg'; } >"$esp/grub.cfg"

grub-editenv /boot/grub/grubenv create

cat >/boot/grub/grub.cfg <<END
# Written when the image was built; update-grub replaces it.
if [ -s \$prefix/grubenv ]; then load_env; fi
$(printf 'insmod %s\n' $modules)
search --no-floppy --fs-uuid --set=root $ROOT_UUID
$(case $GRUB_TERMINALS in *serial*) echo 'serial --unit=0 --speed=115200' ;; esac)
terminal_input $GRUB_TERMINALS
terminal_output $GRUB_TERMINALS
set timeout=5
END
/etc/grub.d/06_hybrid_image >>/boot/grub/grub.cfg
# Newest first, as version numbers sort.
for kernel in $(cd /boot && ls vmlinuz-* | sort -Vr); do
  version=${kernel#vmlinuz-}
  cat >>/boot/grub/grub.cfg <<END
menuentry '$TITLE, Linux $version' --class gnu-linux {
  linux /boot/$kernel root=$ROOT_DEVICE ro $KERNEL_ARGUMENTS
  initrd /boot/initrd.img-$version
}
menuentry '$TITLE, Linux $version (recovery mode)' --class gnu-linux {
  linux /boot/$kernel root=$ROOT_DEVICE ro single $KERNEL_ARGUMENTS
  initrd /boot/initrd.img-$version
}
END
done
grep -q ^menuentry /boot/grub/grub.cfg || {
  echo 'boot-loader.sh: no kernel in /boot' >&2
  exit 1
}

# grub-cloud renews the BIOS loader on the disk below /, which it does not find behind LVM.
case $ROOT_DEVICE in
/dev/mapper/*) rm -f /etc/grub.d/enable_cloud ;;
esac
