#!/bin/sh
# Makes the system it runs in one that MAAS can deploy. Called in the last stage of every method.
#
# Environment: GUEST_TOOLS (where this folder's files are), CLOUD_USER (who logs in), CUSTOM_KERNEL (package
# that --kernel put into the image, or nothing), DEFAULT_KERNEL (package that curtin has to be told, as MAAS
# knows none for this distribution, or nothing).
set -eu

# --- What curtin runs. It also knows a disk's root file system by this folder.
install -d /curtin
install -m 755 "$GUEST_TOOLS/curtin-hooks" /curtin/curtin-hooks
if [ -n "$CUSTOM_KERNEL" ]; then printf '%s' "$CUSTOM_KERNEL" >/curtin/CUSTOM_KERNEL; fi
if [ -n "$DEFAULT_KERNEL" ]; then printf '%s' "$DEFAULT_KERNEL" >/curtin/DEFAULT_KERNEL; fi

# --- The user that cloud-init makes, with the keys that MAAS has.
cat >/etc/cloud/cloud.cfg.d/91_default_user.cfg <<USER
system_info:
  default_user:
    name: $CLOUD_USER
USER
