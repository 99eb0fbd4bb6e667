#!/bin/sh
# Makes what a vendor's cloud image brought current, and installs what an image of ours has beyond it. Runs inside
# that (method cloud-image), as root, with a network. Enterprise Linux 8 and later.
#
# Environment: PACKAGES, KERNEL (empty: the one that is there), BUILD_REPOSITORIES (addresses; empty: the image's
# own sources), which clean-up.sh takes away again; http_proxy.
set -eu

# --- Nobody else's upgrades meanwhile.
systemctl stop dnf-makecache.timer dnf-automatic.timer dnf-makecache.service 2>/dev/null || true

dnf() { command dnf -q -y "$@"; }
if [ -n "$BUILD_REPOSITORIES" ]; then
  keys=$(printf 'file://%s ' /etc/pki/rpm-gpg/RPM-GPG-KEY-*)
  number=0
  for address in $BUILD_REPOSITORIES; do
    number=$((number + 1))
    printf '[hybrid-images-%s]\nname=Mirror of the build, %s\nbaseurl=%s\ngpgcheck=1\ngpgkey=%s\n' \
      $number $number "$address" "$keys"
  done >/etc/yum.repos.d/hybrid-images-build.repo
  dnf() { command dnf -q -y --disablerepo='*' --enablerepo='hybrid-images-*' "$@"; }
fi
dnf makecache || {
  echo "error: dnf does not reach its sources${http_proxy:+ through the proxy $http_proxy}"
  exit 1
}
# Names that nobody knows are told before an hour is spent.
for package in $KERNEL $PACKAGES; do
  [ -n "$(dnf repoquery --whatprovides "$package")" ] || {
    echo "error: dnf can't install package $package: its sources have none"
    exit 1
  }
done
dnf upgrade || {
  echo "error: dnf can't upgrade what the base image has"
  exit 1
}
# shellcheck disable=SC2086
dnf install --setopt=install_weak_deps=False $PACKAGES $KERNEL || {
  echo "error: dnf can't install: $KERNEL $PACKAGES"
  exit 1
}
