#!/bin/sh
# What Ubuntu needs beyond Debian's set-up. Runs inside the new system, as root, behind debian/setup.sh.
#
# Environment: none.
set -eu

# --- The boot menu is shown, after a boot that was cut off as well, where it would wait for 30 seconds.
cat >/etc/default/grub.d/51-hybrid-image-menu.cfg <<'END'
GRUB_TIMEOUT_STYLE=menu
GRUB_RECORDFAIL_TIMEOUT=5
END

# --- The boot loaders are renewed on the disk that the system is on, whatever it is called there.
debconf-set-selections <<'END'
grub-pc grub-pc/cloud_style_installation boolean true
grub-efi grub-efi/cloud_style_installation boolean true
END

# --- A server of its own instead of one for each connection: its unit is what the host keys wait for.
if [ -f /lib/systemd/system/ssh.socket ]; then
  systemctl disable ssh.socket
  rm -rf /etc/systemd/system/ssh.service.d/00-socket.conf /etc/systemd/system/ssh.socket.d
  systemctl enable ssh.service
fi

# --- Nothing is fetched for the message of the day.
if [ -f /etc/default/motd-news ]; then sed -i 's/^ENABLED=.*/ENABLED=0/' /etc/default/motd-news; fi
