#!/bin/sh
# Of a vendor's cloud image that becomes ours: one kernel stays, which boots with our arguments. Runs inside the
# running system (method cloud-image), before installed.sh makes initramfs and menu.
#
# Environment: KERNEL_ARGUMENTS, ROOT_UUID, CUSTOM_KERNEL (package, or nothing).
set -eu

# --- The newest, or the newest that the package has which was asked for; its core holds what boots.
newest() { rpm -q --qf '%{VERSION}-%{RELEASE}.%{ARCH}\n' "$1" 2>/dev/null | sort -V | tail -n 1; }
version=$(newest "${CUSTOM_KERNEL:-kernel-core}")
if [ -f "/boot/vmlinuz-$version" ]; then
  for image in /boot/vmlinuz-*; do
    other=${image#/boot/vmlinuz-}
    if [ "$other" = "$version" ]; then continue; fi
    # The one that runs is protected, and its packages have several names.
    # shellcheck disable=SC2046
    dnf -q -y --setopt=protect_running_kernel=False remove \
      $(rpm -qf "$image" "/lib/modules/$other" | grep -v ' ' | sort -u) ||
      echo "kernel $other stays"
  done
  rm -f /boot/*rescue* /boot/loader/entries/*rescue*
  grubby --set-default "/boot/vmlinuz-$version"
fi

# --- Arguments: for the menu as it is, and for kernels to come.
sed -i '/^GRUB_CMDLINE_LINUX=/d' /etc/default/grub
echo "GRUB_CMDLINE_LINUX=\"$KERNEL_ARGUMENTS\"" >>/etc/default/grub
grubby --update-kernel=ALL --remove-args=console --args="$KERNEL_ARGUMENTS"
if [ -f /etc/kernel/cmdline ]; then
  echo "root=UUID=$ROOT_UUID ro $KERNEL_ARGUMENTS" >/etc/kernel/cmdline
fi
