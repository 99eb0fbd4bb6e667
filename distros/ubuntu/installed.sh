#!/bin/sh
# After Ubuntu's installer, or in its cloud image: takes away what cloud-init is told to do on the first boot, in
# place of the metadata service.
#
# Environment: none. Runs inside the new system, before the boot loaders are set up.
set -eu
export DEBIAN_FRONTEND=noninteractive

# --- What a server on real hardware has and a guest does not need.
for package in snapd landscape-common plymouth linux-firmware; do
  if [ -f "/var/lib/dpkg/info/$package.list" ]; then apt-get -q -y purge "$package"; fi
done

# --- Settings of the installation: its proxy and package sources, its cloud-init, its boot menu.
rm -f /etc/apt/apt.conf.d/90curtin-aptproxy /etc/apt/*.curtin.* \
  /etc/cloud/cloud.cfg.d/99-installer.cfg /etc/cloud/cloud.cfg.d/90-installer-network.cfg \
  /etc/cloud/cloud.cfg.d/20-disable-cc-dpkg-grub.cfg /etc/cloud/cloud.cfg.d/curtin-*.cfg \
  /etc/cloud/cloud.cfg.d/50-curtin-networking.cfg /etc/cloud/cloud.cfg.d/subiquity-*.cfg \
  /etc/cloud/ds-identify.cfg /etc/cloud/clean.d/99-installer /etc/cloud/cloud-init.disabled \
  /etc/default/grub.d/50-curtin-settings.cfg
# The medium's argument for its own cloud-init is none of the image's.
sed -i 's/ *\<\(autoinstall\|ds=nocloud[^ "]*\)\>//g' /etc/default/grub
