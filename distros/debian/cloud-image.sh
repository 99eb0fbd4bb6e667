#!/bin/sh
# Last of a vendor's cloud image that became ours: its own settings of the boot menu go, and the menu is made
# anew with ours. Runs inside the running system (method cloud-image).
#
# Environment: none.
set -eu

rm -f /etc/default/grub.d/15_timeout.cfg /etc/default/grub.d/40-force-partuuid.cfg \
  /etc/default/grub.d/50-cloudimg-settings.cfg
update-grub
