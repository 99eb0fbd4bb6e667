#!/bin/sh
# Sets up a fresh Debian as a hybrid image. Runs inside the new system, whatever put it there
# (bootstrap, installer, cloud image), as root, without services running.
#
# Environment: TITLE ("Debian 12 (bookworm)"), IMAGE_NAME, IMAGE_VERSION, HOMEPAGE, ROOT_UUID and
# ESP_UUID (empty where somebody else writes /etc/fstab), KERNEL_ARGUMENTS, GRUB_TERMINALS, SERIAL ("ttyS0";
# empty where systemd asks the kernel which it is), TARGET and MADE_FOR ("maas", "MAAS").
set -eu

# --- File systems by identity: device names differ between hypervisors.
if [ -n "$ROOT_UUID" ]; then
  echo "UUID=$ROOT_UUID / ext4 errors=remount-ro 0 1" >/etc/fstab
  # Ubuntu's cloud images, from 24.04 on, have a file system for it.
  if [ "$(findmnt -n -o TARGET /boot)" = /boot ]; then
    echo "UUID=$(findmnt -n -o UUID /boot) /boot ext4 defaults 0 2" >>/etc/fstab
  fi
  if [ -n "$ESP_UUID" ]; then
    mkdir -p /boot/efi
    echo "UUID=$ESP_UUID /boot/efi vfat umask=0077,nofail 0 1" >>/etc/fstab
  fi
fi

# --- Boot menu, kernel and log-in on the first serial port.
mkdir -p /etc/default/grub.d
cat >/etc/default/grub.d/50-hybrid-image.cfg <<END
GRUB_CMDLINE_LINUX="$KERNEL_ARGUMENTS"
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_TERMINAL="$GRUB_TERMINALS"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_TIMEOUT=5
GRUB_DISABLE_OS_PROBER=true
END
# UEFI firmware of the OVMF family puts its console on every serial port, the second one included,
# where the metadata service takes the menu for requests and types its refusals back into GRUB. So
# the screen joins in under BIOS only.
if [ -d /etc/grub.d ]; then # not where somebody else brings the boot loader
  cat >/etc/grub.d/06_hybrid_image <<'END'
#!/bin/sh
cat <<'CFG'
if [ "$grub_platform" = pc ]; then
  terminal_input --append console
  terminal_output --append console
fi
CFG
END
  chmod 755 /etc/grub.d/06_hybrid_image
fi
# The flag that lets grub-cloud, where it is the boot loaders' keeper, renew both when GRUB is upgraded.
if [ -f /var/lib/dpkg/info/grub-cloud-amd64.list ]; then : >/etc/grub.d/enable_cloud; fi
# The package that renews GRUB where UEFI alone boots: on the removable path as well, and nothing into the
# firmware's memory, which is not the image's.
if [ -f /var/lib/dpkg/info/grub-efi-arm64.list ]; then
  debconf-set-selections <<'END'
grub-efi-arm64 grub2/force_efi_extra_removable boolean true
grub-efi-arm64 grub2/update_nvram boolean false
END
fi
if [ -n "$SERIAL" ]; then systemctl enable "serial-getty@$SERIAL.service"; fi

# --- Names in the boot messages and at the log-in.
built="$IMAGE_NAME $IMAGE_VERSION"
cat >/etc/issue <<END

  $TITLE
  Image $built

\\n \\l

END
grep -v '\\' /etc/issue >/etc/issue.net
cat >/etc/motd <<END

  $TITLE
  Image $built, built for $MADE_FOR

END
if [ "$TARGET" = smartos ]; then
  cat >/etc/product <<END
Name: Joyent Instance
Image: $built
Documentation: $HOMEPAGE
Description: $TITLE
END
fi

# --- Network: cloud-init writes netplan, for Triton from sdc:nics; there names stay eth0, eth1.
systemctl enable systemd-networkd.service systemd-resolved.service systemd-timesyncd.service
# One configured interface is enough, and a boot without any must not hang for two minutes.
mkdir -p /etc/systemd/system/systemd-networkd-wait-online.service.d
cat >/etc/systemd/system/systemd-networkd-wait-online.service.d/any.conf <<'END'
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=30
END

# --- Trim weekly: what is freed in the guest is freed in the pool.
systemctl enable fstrim.timer

# --- Write back early, so that a snapshot finds little in flight.
echo 'vm.dirty_background_bytes = 100000000' >/etc/sysctl.d/60-hybrid-image.conf

# --- Log-in by key only; root has no password that could be typed at ssh.
usermod --password '*' root
mkdir -p /etc/ssh/sshd_config.d
cat >/etc/ssh/sshd_config.d/10-hybrid-image.conf <<'END'
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
END
# OpenSSH before 8.7 (Debian 11) knows the older name only.
sshd=$(/usr/sbin/sshd -V 2>&1 || true)
case $sshd in
*OpenSSH_8.[0-6]*)
  sed -i 's/^KbdInteractiveAuthentication/ChallengeResponseAuthentication/' \
    /etc/ssh/sshd_config.d/10-hybrid-image.conf
  ;;
esac
# cloud-init makes the host keys; an instance without metadata needs them as well.
mkdir -p /etc/systemd/system/ssh.service.d
cat >/etc/systemd/system/ssh.service.d/host-keys.conf <<'END'
[Unit]
After=cloud-init.service
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
END

echo 'LANG=C.UTF-8' >/etc/default/locale
