#!/bin/sh
# Sets up a fresh Enterprise Linux 6 as an image. Runs inside the new system, as root, without services
# running. This system has Upstart and System V scripts, not systemd.
#
# Environment: TITLE ("CentOS 6 (Final)"), IMAGE_NAME, IMAGE_VERSION, HOMEPAGE.
set -eu

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

# --- Network: this cloud-init writes none, triton-network does; names stay eth0, eth1 on other hardware.
ln -sf /dev/null /etc/udev/rules.d/75-persistent-net-generator.rules
rm -f /etc/udev/rules.d/70-persistent-net.rules /etc/sysconfig/network-scripts/ifcfg-eth*
printf 'NETWORKING=yes\nHOSTNAME=localhost.localdomain\nNOZEROCONF=yes\n' >/etc/sysconfig/network
printf 'DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n' >/etc/sysconfig/network-scripts/ifcfg-eth0

# --- The guest tools are written for this name.
command -v python3 >/dev/null || ln -s python3.4 /usr/bin/python3

# --- An initramfs for every hypervisor, which also grows the root partition before it is mounted.
printf 'add_drivers+=" virtio_blk virtio_pci virtio_net virtio_scsi ahci ata_piix "\n' \
  >/etc/dracut.conf.d/10-hybrid-image.conf

# --- Write back early, so that a snapshot finds little in flight.
echo 'vm.dirty_background_bytes = 100000000' >>/etc/sysctl.conf

# --- Log-in by key only; root has no password that could be typed at ssh.
usermod --password '*' root
sed -i -E '/^#?(PasswordAuthentication|PermitRootLogin|ChallengeResponseAuthentication)\>/d' \
  /etc/ssh/sshd_config
cat >>/etc/ssh/sshd_config <<'SSH'
PasswordAuthentication no
ChallengeResponseAuthentication no
PermitRootLogin without-password
SSH
