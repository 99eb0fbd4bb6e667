#!/bin/sh
# Sets up a fresh Enterprise Linux (7 and later) as a hybrid image. Runs inside the new system, as root,
# without services running.
#
# Environment: TITLE ("Rocky Linux 9 (Blue Onyx)"), IMAGE_NAME, IMAGE_VERSION, HOMEPAGE, ESP_UUID
# (empty where there is no EFI system partition).
set -eu

# --- The installer knows nothing of the EFI system partition; a cloud image does, where it has one.
if [ -n "$ESP_UUID" ] && ! grep -qs '[[:space:]]/boot/efi[[:space:]]' /etc/fstab; then
  echo "UUID=$ESP_UUID /boot/efi vfat umask=0077,nofail,shortname=winnt 0 0" >>/etc/fstab
fi

# --- Boot menu and log-in on the first serial port; the kernel's own words are the boot loader's.
cat >>/etc/default/grub <<'GRUB'
GRUB_TERMINAL="serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_TIMEOUT=5
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_RECOVERY=true
GRUB
sed -i '/^GRUB_TERMINAL_OUTPUT=/d' /etc/default/grub
# UEFI firmware of the OVMF family puts its console on every serial port, the second one included,
# where the metadata service takes the menu for requests and types its refusals back into GRUB. So
# the screen joins in under BIOS only.
cat >/etc/grub.d/06_hybrid_image <<'GRUB'
#!/bin/sh
cat <<'CFG'
if [ "$grub_platform" = pc ]; then
  terminal_input --append console
  terminal_output --append console
fi
CFG
GRUB
chmod 755 /etc/grub.d/06_hybrid_image
systemctl enable serial-getty@ttyS0.service
# No log-in prompts on virtual consoles: nobody sees them, and each costs memory.
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nNAutoVTs=0\n' >/etc/systemd/logind.conf.d/10-hybrid-image.conf

# --- Names in the boot messages and at the log-in.
built="$IMAGE_NAME $IMAGE_VERSION"
printf '\n  %s\n  Image %s\n\n\\n \\l\n\n' "$TITLE" "$built" >/etc/issue
grep -v '\\' /etc/issue >/etc/issue.net
printf '\n  %s\n  Image %s, built for %s\n\n' "$TITLE" "$built" "$MADE_FOR" >/etc/motd
cat >/etc/product <<PRODUCT
Name: Joyent Instance
Image: $built
Documentation: $HOMEPAGE
Description: $TITLE
PRODUCT

# --- Network: cloud-init writes it from sdc:nics. What the installer used stays behind, and a slow
# network of a busy machine is waited for.
rm -f /etc/NetworkManager/system-connections/* /etc/sysconfig/network-scripts/ifcfg-e*
mkdir -p /etc/NetworkManager/conf.d
printf '[connection]\nipv4.dhcp-timeout=300\n' >/etc/NetworkManager/conf.d/10-hybrid-image.conf

# --- An initramfs for every hypervisor, not for the machine of the build.
printf 'hostonly="no"\nadd_drivers+=" virtio_blk virtio_pci virtio_net virtio_scsi ahci ata_piix "\n' \
  >/etc/dracut.conf.d/10-hybrid-image.conf

# --- A guest's settings; trim weekly: what is freed in the guest is freed in the pool.
if [ -d /etc/tuned ]; then
  echo virtual-guest >/etc/tuned/active_profile
  echo manual >/etc/tuned/profile_mode
fi
systemctl enable fstrim.timer
# Write back early, so that a snapshot finds little in flight.
echo 'vm.dirty_background_bytes = 100000000' >/etc/sysctl.d/60-hybrid-image.conf

# --- Log-in by key only; root has no password that could be typed at ssh.
usermod --password '*' root
if grep -q '^Include /etc/ssh/sshd_config.d/' /etc/ssh/sshd_config; then
  ssh=/etc/ssh/sshd_config.d/01-hybrid-image.conf
  : >"$ssh"
else # before 9: the first of two settings counts
  ssh=/etc/ssh/sshd_config
  sed -i -E '/^#?(PasswordAuthentication|PermitRootLogin|ChallengeResponseAuthentication)\>/d' "$ssh"
fi
cat >>"$ssh" <<'SSH'
PasswordAuthentication no
ChallengeResponseAuthentication no
PermitRootLogin prohibit-password
SSH
