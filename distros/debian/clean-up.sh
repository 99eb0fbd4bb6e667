#!/bin/sh
# Takes away what belongs to the build and must differ between instances. Runs inside the new
# system as the last script of every method, as root.
#
# Environment: CODENAME, COMPONENTS, SECURITY_MIRROR, MIRROR (undefined: the one that cloud-init knows).
set -eu

# --- Package sources: the vendor's, whichever mirror this build was pointed at. cloud-init, which knows
# the vendor's mirror for this distribution, is told to leave these alone on an instance.
mirror=${MIRROR:-$(awk '$1 == "primary:" { print $2; exit }' /etc/cloud/cloud.cfg)}
[ -n "$mirror" ] || {
  echo 'clean-up.sh: no primary mirror in /etc/cloud/cloud.cfg' >&2
  exit 1
}
rm -f /etc/apt/sources.list.d/*
cat >/etc/apt/sources.list <<END
deb $mirror $CODENAME $COMPONENTS
deb $mirror $CODENAME-updates $COMPONENTS
deb $SECURITY_MIRROR $CODENAME-security $COMPONENTS
END

# --- Identity: made anew on the first boot. An empty machine-id is filled in by systemd.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_* /etc/hostname /var/lib/systemd/random-seed \
  /var/lib/systemd/credential.secret
cat >/etc/hosts <<'END'
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
END

# --- Resolver of the build host. systemd-resolved serves this one.
rm -f /etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

# --- Settings that served the build only.
rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap /etc/apt/apt.conf

# --- Packages, lists, caches, logs, histories.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -rf /var/lib/cloud/* /root/.bash_history /root/.cache /root/.ssh
rm -rf /var/log/installer
find /var/log -type f -exec rm -f {} +
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name hybrid-images \
  ! -name 'mmdebstrap*' -exec rm -rf {} +
