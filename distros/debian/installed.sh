#!/bin/sh
# After an installer: takes away what configures the network beside cloud-init, and puts both boot
# loaders on the disk (method installer).
#
# Environment: none. Runs inside the new system, with /boot/efi mounted and /dev there.
set -eu
export DEBIAN_FRONTEND=noninteractive

# --- What the installer brought for itself, as far as it is there. Its DHCP client stays: cloud-init
# depends on one, and nothing starts it.
for package in ifupdown tasksel tasksel-data installation-report; do
  if [ -f "/var/lib/dpkg/info/$package.list" ]; then apt-get -q -y purge "$package"; fi
done
rm -rf /etc/network/interfaces /etc/network/interfaces.d /etc/netplan/*.yaml

# --- GRUB for BIOS in the BIOS boot partition; for UEFI where firmware looks that knows no entry,
# and where the signed one looks for its configuration.
esp=$(findmnt -n -o SOURCE /boot/efi)
disk=/dev/$(lsblk -n -d -o PKNAME "$esp")
grub-install --target=i386-pc "$disk"
# Where there is no such option, it is the default.
extra=
if grub-install --help | grep -q force-extra-removable; then extra=--force-extra-removable; fi
grub-install --target=x86_64-efi --efi-directory=/boot/efi --no-nvram --uefi-secure-boot $extra
update-grub

# --- An installer that was booted by BIOS makes an ordinary partition of it.
number=$(cat "/sys/class/block/${esp#/dev/}/partition")
sfdisk --no-reread --no-tell-kernel --part-type "$disk" "$number" \
  C12A7328-F81F-11D2-BA4B-00A0C93EC93B

# --- grub-cloud renews the BIOS loader on the disk below /, which it does not find behind LVM.
case $(findmnt -n -o SOURCE /) in
/dev/mapper/*) rm -f /etc/grub.d/enable_cloud ;;
esac
