#!/bin/sh
# After the installer: initramfs anew, and GRUB's menu on the first serial port.
#
# Environment: none. Runs inside the new system.
set -eu
for kernel in /lib/modules/*; do
  dracut --force "/boot/initramfs-${kernel##*/}.img" "${kernel##*/}"
done
sed -i -e '/^splashimage/d; /^hiddenmenu/d; /^serial/d; /^terminal/d' -e 's/^timeout=.*/timeout=5/' \
  -e '1i serial --unit=0 --speed=115200\nterminal --timeout=5 serial console' /boot/grub/grub.conf
