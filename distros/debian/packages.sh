#!/bin/sh
# Makes what a vendor's cloud image brought current, installs what an image of ours has beyond it, and takes away
# what would be in its way. Runs inside that (method cloud-image), as root, with a network.
#
# Environment: PACKAGES, KERNEL (empty: the one that is there), CODENAME, COMPONENTS; BUILD_MIRROR and
# BUILD_SECURITY_MIRROR (empty: the image's own sources), which clean-up.sh takes away again; http_proxy.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt() {
  command apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold "$@"
}

# --- Nobody else's upgrades meanwhile.
systemctl stop apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service \
  unattended-upgrades.service 2>/dev/null || true

if [ -n "$BUILD_MIRROR" ]; then
  rm -f /etc/apt/sources.list.d/*
  {
    echo "deb $BUILD_MIRROR $CODENAME $COMPONENTS"
    echo "deb $BUILD_MIRROR $CODENAME-updates $COMPONENTS"
    if [ -n "$BUILD_SECURITY_MIRROR" ]; then
      echo "deb $BUILD_SECURITY_MIRROR $CODENAME-security $COMPONENTS"
    fi
  } >/etc/apt/sources.list
fi
# A source that is not reached is an error: what was installed then would be old.
apt update -o APT::Update::Error-Mode=any || {
  echo "error: apt does not reach its sources${http_proxy:+ through the proxy $http_proxy}"
  exit 1
}
# Names that nobody knows are told before an hour is spent.
# shellcheck disable=SC2086
said=$(apt --simulate install --no-install-recommends $PACKAGES $KERNEL 2>&1) || {
  echo "$said"
  echo "error: apt can't install what is wanted: $(echo "$said" | sed -n 's/^E: //p' | tr '\n' ' ')"
  exit 1
}
apt dist-upgrade || {
  echo "error: apt can't upgrade what the base image has"
  exit 1
}
# shellcheck disable=SC2086
apt install --no-install-recommends $PACKAGES $KERNEL || {
  echo "error: apt can't install: $KERNEL $PACKAGES"
  exit 1
}
apt autoremove --purge
if [ -f /var/lib/dpkg/info/ifupdown.list ]; then apt purge ifupdown; fi
rm -rf /etc/network/interfaces /etc/network/interfaces.d /etc/netplan/*.yaml
