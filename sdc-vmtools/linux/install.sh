#!/bin/sh
# Installs the guest tools into the system it runs in. Called in the last stage of every method, and
# by hand on a machine that came from elsewhere: sh install.sh
set -eu
from=${GUEST_TOOLS:-$(dirname "$0")}

install -d /usr/sbin /lib/smartdc /usr/share/man/man1 /lib/udev/rules.d
# The vendor's own client, where the system has one, is as good.
if ! command -v mdata-get >/dev/null 2>&1 || [ -e /lib/smartdc/mdata ]; then
  install -m 755 "$from/sbin/mdata" /lib/smartdc/mdata
  for name in mdata-get mdata-put mdata-list mdata-delete; do
    ln -sf /lib/smartdc/mdata "/usr/sbin/$name"
    install -m 644 "$from/man/mdata.1" "/usr/share/man/man1/$name.1"
  done
fi
ln -sf /usr/sbin/mdata-get /lib/smartdc/mdata-get
for script in "$from"/smartdc/*; do install -m 755 "$script" /lib/smartdc/; done
ln -sf /lib/smartdc/prepare-image /usr/sbin/prepare-image
install -m 644 "$from/udev/60-triton-data.rules" /lib/udev/rules.d/
if ! command -v systemctl >/dev/null 2>&1; then # Enterprise Linux 6
  for service in triton-network triton-guest; do
    install -m 755 "$from/sysv/$service" /etc/rc.d/init.d/
    chkconfig --add $service
  done
  exit
fi
install -d /lib/systemd/system
for unit in triton-guest triton-grow-root; do
  install -m 644 "$from/systemd/$unit.service" /lib/systemd/system/
done
systemctl enable triton-guest.service
# Where root is on a logical volume: it shows where the system has its disk already, and else is told.
case ${ROOT_DEVICE:-$(findmnt -n -o SOURCE / || :)} in
/dev/mapper/*) systemctl enable triton-grow-root.service ;;
esac
