#!/bin/sh
# Installs what an image has beyond what its vendor's cloud image brought, and takes away what would be in its
# way. Runs inside that (method cloud-image), as root, with a network.
#
# Environment: PACKAGES, KERNEL (empty: the one that is there), CODENAME, COMPONENTS; BUILD_MIRROR and
# BUILD_SECURITY_MIRROR (empty: the image's own sources), which clean-up.sh takes away again.
set -eu
export DEBIAN_FRONTEND=noninteractive

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
apt-get -q update -o APT::Update::Error-Mode=any || {
  echo 'error: apt does not reach its sources'
  exit 1
}
# shellcheck disable=SC2086
apt-get -q -y install --no-install-recommends $PACKAGES $KERNEL || {
  echo "error: apt can't install: $PACKAGES $KERNEL"
  exit 1
}
if [ -n "$KERNEL" ]; then
  # The vendor's own goes, all but what the wanted one is.
  arch=$(dpkg --print-architecture)
  for package in "linux-image-$arch" "linux-image-cloud-$arch"; do
    [ "$package" = "$KERNEL" ] || apt-get -q -y purge "$package" || true
  done
  apt-get -q -y autoremove --purge
fi
if [ -f /var/lib/dpkg/info/ifupdown.list ]; then apt-get -q -y purge ifupdown; fi
rm -rf /etc/network/interfaces /etc/network/interfaces.d /etc/netplan/*.yaml
