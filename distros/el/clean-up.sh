#!/bin/sh
# Takes away what belongs to the build and must differ between instances. Runs inside the new system as
# the last script of every method, as root.
#
# Environment: none.
set -eu

# --- Identity: made anew on the first boot. An empty machine-id is filled in by systemd.
if [ -e /etc/machine-id ]; then : >/etc/machine-id; fi
rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_* /etc/hostname /var/lib/systemd/random-seed \
  /var/lib/systemd/credential.secret
cat >/etc/hosts <<'HOSTS'
127.0.0.1 localhost localhost.localdomain
::1 localhost localhost.localdomain
HOSTS
: >/etc/resolv.conf
# Volumes are found by what is on them: the list of devices names the disk of the build.
rm -f /etc/lvm/devices/system.devices

# --- The mirror of the build (packages.sh).
rm -f /etc/yum.repos.d/hybrid-images-build.repo

# --- The installer's answers and logs, package caches, histories.
rm -f /root/anaconda-ks.cfg /root/original-ks.cfg /root/install.log* /root/.bash_history
rm -rf /var/log/anaconda /root/.ssh /var/lib/cloud/*
if command -v dnf >/dev/null; then dnf -q clean all; else yum -q clean all; fi
rm -rf /var/cache/dnf/* /var/cache/yum/*
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
find /var/log -type f -exec rm -f {} +
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name hybrid-images -exec rm -rf {} +

# --- What scripts wrote gets the labels that SELinux enforces.
contexts=/etc/selinux/targeted/contexts/files/file_contexts
if [ -f "$contexts" ]; then setfiles -F -e /proc -e /sys -e /dev "$contexts" /; fi
