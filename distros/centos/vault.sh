#!/bin/sh
# Releases out of support: their mirrors are gone, packages come from the vault.
#
# Environment: VAULT (the last point release, as the vault's folder has it: 7.9.2009).
set -eu
sed -i -E -e 's/^mirrorlist=/#&/' \
  -e "s,^#?baseurl=https?://mirror\.centos\.org/(centos|\\\$contentdir)/\\\$releasever/,baseurl=http://vault.centos.org/$VAULT/," \
  /etc/yum.repos.d/CentOS-*.repo
