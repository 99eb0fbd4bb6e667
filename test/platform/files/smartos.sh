#!/bin/bash
# A SmartOS of 2013 in a directory, for tests of the files that build-retro adds: the programs that the methods
# call, whichever it is called as. They refuse what the real ones refuse. $RETRO_ROOT is its root file system,
# which a boot makes anew; $GUEST_STATE has what outlives a boot (disks, metadata, nics) and, in "run", what does
# not (mounts, links, services). Everything that is called is in the file "log".
#
#   disks/NAME/fat/        a FAT in its first partition, with these files
#   disks/NAME/content     it holds something that zpool does not overwrite unless forced
#   disks/NAME/pool/       a pool: name, status (active, exported, destroyed, faulted), datasets/PATH/{props,data/}
#   disks/NAME/removable   it is not among those that disklist -n lists
#
# $GUEST_CUT is how a call begins, or its number, at which the power goes: everything that runs is killed, before
# the call has done anything. $GUEST_FAIL is how a call begins that fails.
set -u
name=${0##*/}
state=$GUEST_STATE
root=$RETRO_ROOT
run=$state/run
real=/usr/bin/$name
PATH=/usr/bin:/bin
echo "$name $*" >>"$state/log"
case $name in
stock-boot | net-physical | power-off) ;;
*)
  # A pipeline's programs start at once: each takes a number that no other has.
  count=1
  [ ! -f "$run/count" ] || read -r count <"$run/count" || count=1
  until (set -C && : >"$run/call.$count") 2>/dev/null; do count=$((count + 1)); done
  echo $count >"$run/count"
  case "$count,$name $*" in
  "${GUEST_CUT:-never},"* | *",${GUEST_CUT:-never}"*) kill -9 0 ;;
  esac
  ;;
esac
refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}
case "$name $*" in
"${GUEST_FAIL:-nothing}"*) refuse "$name: I/O error" ;;
esac

# -- mounts: a link in place of what is mounted over; "mounts" has a line WHAT AT for each
mounted() { [ -f "$run/mounts" ] && [[ $'\n'$(<"$run/mounts")$'\n' == *" $1"$'\n'* ]]; }
put_over() { # WHAT AT SOURCE
  [ -e "$2" ] || refuse "mount: Mount point $2 does not exist."
  mv "$2" "$2.below" && ln -s "$3" "$2" && echo "$1 $2" >>"$run/mounts"
}
take_off() { # AT
  rm "$1" && mv "$1.below" "$1" && grep -v " $1\$" "$run/mounts" >"$run/mounts.new"
  mv "$run/mounts.new" "$run/mounts"
}

# -- pools
pool_dir() { # NAME of an imported pool
  local pool disk
  [ -f "$run/pools" ] || return 1
  while read -r pool disk; do
    if [ "$pool" = "$1" ]; then echo "$state/disks/$disk/pool" && return; fi
  done <"$run/pools"
  return 1
}
need_pool() { pool_dir "$1" >/dev/null || refuse "cannot open '$1': no such pool"; }
dataset_dir() { # NAME; its pool's directory must be known
  local dir below=${1#*/}
  dir=$(pool_dir "${1%%/*}") || return 1
  [ "$below" != "$1" ] || below=.root
  echo "$dir/datasets/${below//\//+}"
}
prop() { sed -n "s/^$2=//p" "$(dataset_dir "$1")/props"; }
mount_automatically() { # DATASET
  local at dir
  dir=$(dataset_dir "$1")
  [ -d "$dir/data" ] || return 0 # a volume
  at=$(prop "$1" mountpoint)
  [ -n "$at" ] || at=/$1
  [ "$at" != legacy ] && [ "$at" != none ] || return 0
  at=$root$at
  mkdir -p "$at"
  [ -z "$(ls -A "$at")" ] || refuse "cannot mount '$at': directory is not empty"
  put_over "$1" "$at" "$dir/data"
}
unmount_pool() { # NAME
  local what at
  tac "$run/mounts" 2>/dev/null >"$run/order"
  while read -r what at; do
    case $what in
    "$1/"* | "$1")
      [ "$(prop "$what" mountpoint)" != legacy ] || refuse "cannot unmount '$at': Device busy"
      take_off "$at"
      ;;
    esac
  done <"$run/order"
}
import_pool() { # DISK NAME-THEN
  local disk=$1 as=$2 dir=$state/disks/$1/pool one
  ! pool_dir "$as" >/dev/null || refuse "cannot import '$as': a pool with that name already exists"
  [ "$(cat "$dir/status")" != faulted ] || refuse "cannot import '$as': one or more devices is currently unavailable"
  echo "$as" >"$dir/name"
  echo active >"$dir/status"
  echo "$as $disk" >>"$run/pools"
  mount_automatically "$as"
  for one in "$dir"/datasets/*; do
    one=${one##*/}
    mount_automatically "$as/${one//+/\/}"
  done
}
importable() { # lines NAME DISK
  local disk pool
  for disk in "$state"/disks/*; do
    pool=$disk/pool
    [ -d "$pool" ] && [ "$(cat "$pool/status")" != destroyed ] || continue
    grep -q " ${disk##*/}\$" "$run/pools" 2>/dev/null || echo "$(cat "$pool/name") ${disk##*/}"
  done
}

# -- links
is_plumbed() { [ -f "$run/plumbed/$1" ]; }
show_interface() {
  local address mask first=yes
  while read -r address mask; do
    if [ $first = yes ]; then
      first=no
      [ "$address" = 0.0.0.0 ] && echo "$1: flags=1000842<BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2" ||
        echo "$1: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2"
    else
      echo "$1:1: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2"
    fi
    printf '\tinet %s netmask %s broadcast 0.0.0.0\n' "$address" "$mask"
  done <"$run/plumbed/$1"
}

case $name in
# Programs that are the same everywhere: here only so that the power can go before them.
cp | mv | touch | sync | rmdir | tar | gzip | mkdir | chmod | rm | cat | sed) exec "$real" "$@" ;;
cpio)
  [ "$1" = -pdmu ] || refuse 'cpio: usage' 2
  if [ -n "${GUEST_CPIO:-}" ]; then exec "$GUEST_CPIO" "$@"; fi
  /usr/bin/tar -cf - --no-recursion -T - | /usr/bin/tar -xpf - -C "$2"
  ;;
bootparams) cat "$state/bootparams" ;;
prtconf) printf 'System Configuration:  Joyent  i86pc\nMemory size: %s Megabytes\n' "$(cat "$state/memory")" ;;
devfsadm)
  [ "$*" = '-i asy' ] || refuse 'usage: devfsadm' 2
  mkdir -p "$root/dev/term" && : >"$root/dev/term/b"
  ;;
disklist)
  for disk in "$state"/disks/*; do
    [ -d "$disk" ] || continue
    [ "$1" = -n ] && [ -f "$disk/removable" ] || echo "${disk##*/}"
  done
  ;;
fstyp)
  disk=${1##*/}
  [ -d "$state/disks/${disk%p1}/fat" ] || refuse 'unknown_fstyp (no matches)'
  echo pcfs
  ;;
mount)
  overlay=no
  if [ "$1" = -O ]; then overlay=yes && shift; fi
  [ "$1" = -F ] || refuse 'Usage: mount' 2
  kind=$2
  shift 2
  if [ "$1" = -o ]; then shift 2; fi
  [ $# -eq 2 ] || refuse 'Usage: mount' 2
  [ $overlay = yes ] || ! mounted "$2" || refuse "mount: $2 is already mounted or $2 is busy"
  case $kind in
  lofs)
    [ -e "$1" ] || refuse "mount: $1: No such file or directory"
    [ -d "$1" ] && [ ! -d "$2" ] && refuse "mount: Mount point $2 is not a directory."
    put_over "$1" "$2" "$1"
    ;;
  pcfs)
    disk=${1##*/}
    [ -d "$state/disks/${disk%p1}/fat" ] || refuse "mount: $1 is not a DOS filesystem."
    put_over "$1" "$2" "$state/disks/${disk%p1}/fat"
    ;;
  zfs)
    dir=$(dataset_dir "$1") && [ -d "$dir/data" ] || refuse "cannot open '$1': dataset does not exist"
    [ "$(prop "$1" mountpoint)" = legacy ] || refuse "filesystem '$1' cannot be mounted using 'mount -F zfs'"
    [ ! -e "$2" ] || [ -z "$(ls -A "$2")" ] || [ "$2" = "$root/var" ] || [ "$2" = "$root/etc/zones" ] || [ "$2" = "$root/opt" ] ||
      refuse "mount: $2: directory is not empty"
    put_over "$1" "$2" "$dir/data"
    ;;
  *) refuse "mount: unknown FSType $kind" ;;
  esac
  ;;
umount)
  mounted "$1" || refuse "umount: warning: $1 not in mnttab"
  take_off "$1"
  ;;
zpool)
  case $* in
  'list -H -o name') [ ! -f "$run/pools" ] || cut -d ' ' -f 1 "$run/pools" ;;
  import)
    importable | while read -r pool disk; do
      printf '   pool: %s\n     id: 1\n  state: ONLINE\n config:\n\n\t%s  ONLINE\n\t  %s  ONLINE\n' "$pool" "$pool" "$disk"
    done
    ;;
  'import '*)
    shift
    if [ "$1" = -f ]; then shift; fi
    disk=$(importable | sed -n "s/^$1 //p")
    [ -n "$disk" ] || refuse "cannot import '$1': no such pool available"
    import_pool "$disk" "${2:-$1}"
    ;;
  'export '*)
    need_pool "$2"
    dir=$(pool_dir "$2")
    unmount_pool "$2" || exit 1
    echo exported >"$dir/status"
    sed -i "/^$2 /d" "$run/pools"
    ;;
  'destroy '*)
    need_pool "$2"
    dir=$(pool_dir "$2")
    unmount_pool "$2" || exit 1
    echo destroyed >"$dir/status"
    sed -i "/^$2 /d" "$run/pools"
    ;;
  'create '*)
    shift
    props=()
    while [ "$1" = -O ]; do
      props+=("$2")
      shift 2
    done
    [ "$1" != -f ] || refuse 'a test never wants this'
    ! pool_dir "$1" >/dev/null || refuse "cannot create '$1': pool already exists"
    disk=$state/disks/$2
    [ -d "$disk" ] || refuse "cannot open '$2': no such device in /dev/dsk"
    [ ! -f "$disk/content" ] && [ ! -d "$disk/fat" ] ||
      refuse "invalid vdev specification
use '-f' to override the following errors:
/dev/dsk/${2}s0 contains a ufs filesystem."
    [ ! -d "$disk/pool" ] || [ "$(cat "$disk/pool/status")" = destroyed ] ||
      refuse "invalid vdev specification
use '-f' to override the following errors:
/dev/dsk/${2}s0 is part of potentially active pool '$(cat "$disk/pool/name")'"
    rm -rf "$disk/pool"
    mkdir -p "$disk/pool/datasets/.root/data"
    printf '%s\n' "${props[@]}" >"$disk/pool/datasets/.root/props"
    import_pool_name=$1
    echo new >"$disk/pool/status"
    import_pool "$2" "$import_pool_name"
    ;;
  *) refuse "unrecognized command '$1'" 2 ;;
  esac
  ;;
zfs)
  case $* in
  "get -H -o value "* | "get -Hp -o value "*)
    [ "$1 $2" = 'get -Hp' ] || [ "$5" != available ] || refuse 'a number is wanted'
    need_pool "${6%%/*}"
    if [ "$5" = available ]; then
      disk=$(pool_dir "${6%%/*}") && cat "${disk%/pool}/bytes"
    else
      value=$(prop "$6" "$5")
      echo "${value:--}"
    fi
    ;;
  'set '*)
    dir=$(dataset_dir "$3") && [ -d "$dir" ] || refuse "cannot open '$3': dataset does not exist"
    sed -i "/^${2%%=*}=/d" "$dir/props"
    echo "$2" >>"$dir/props"
    ;;
  'create '*)
    shift
    volume='' sparse=no props=()
    while [ $# -gt 1 ]; do
      case $1 in
      -o) props+=("$2") && shift 2 ;;
      -V) volume=$2 && shift 2 ;;
      -s) sparse=yes && shift ;;
      *) refuse "invalid option '$1'" 2 ;;
      esac
    done
    dir=$(dataset_dir "$1") || refuse "cannot create '$1': no such pool '${1%%/*}'"
    [ ! -d "$dir" ] || refuse "cannot create '$1': dataset already exists"
    if [ -n "$volume" ]; then
      [[ $volume =~ ^[1-9][0-9]*m$ ]] || refuse "bad numeric value '$volume'"
      disk=$(pool_dir "${1%%/*}") && disk=${disk%/pool}
      left=$(($(cat "$disk/bytes") - ${volume%m} * 1048576))
      if [ $sparse = no ]; then
        [ $left -ge 0 ] || refuse "cannot create '$1': out of space"
        echo $left >"$disk/bytes"
      fi
      mkdir -p "$dir"
      props+=("volsize=$volume" "sparse=$sparse")
    else
      mkdir -p "$dir/data"
    fi
    printf '%s\n' ${props[@]+"${props[@]}"} >"$dir/props"
    mount_automatically "$1"
    ;;
  *) refuse "unrecognized command '$1'" 2 ;;
  esac
  ;;
reboot)
  echo yes >"$run/rebooting"
  kill -9 0
  ;;

dladm)
  case $* in
  'show-phys -p -m -o link,address') sed 's/:/\\:/g; s/ /:/' "$state/nics" ;;
  'show-etherstub '* | 'show-vnic '*) [ -f "$run/links/${1#show-}/$2" ] || refuse "dladm: invalid link name '$2': link not found" ;;
  'create-etherstub -t '*)
    [ ! -f "$run/links/etherstub/$3" ] || refuse 'dladm: etherstub creation failed: object already exists'
    mkdir -p "$run/links/etherstub" && : >"$run/links/etherstub/$3"
    ;;
  'create-vnic -t -l '*)
    [ -f "$run/links/etherstub/$4" ] || refuse "dladm: invalid link name '$4'"
    [ ! -f "$run/links/vnic/$5" ] || refuse 'dladm: vnic creation over failed: object already exists'
    mkdir -p "$run/links/vnic" && : >"$run/links/vnic/$5"
    ;;
  'set-linkprop -t -p mtu='*)
    ! is_plumbed "$5" || refuse "dladm: warning: cannot set link property 'mtu' on '$5': link busy"
    ;;
  *) refuse "dladm: unknown subcommand '$1'" ;;
  esac
  ;;
ifconfig)
  if [ "$*" = -a ]; then
    for one in "$run"/plumbed/*; do
      [ ! -f "$one" ] || show_interface "${one##*/}"
    done
    exit
  fi
  link=$1
  shift
  grep -q "^$link " "$state/nics" || [ -f "$run/links/vnic/$link" ] || refuse "ifconfig: $link: no such interface"
  if [ "$*" = plumb ]; then
    ! is_plumbed "$link" || refuse "ifconfig: plumb: $link: already exists"
    mkdir -p "$run/plumbed"
    echo '0.0.0.0 0' >"$run/plumbed/$link"
    exit
  fi
  is_plumbed "$link" || refuse "ifconfig: status: SIOCGLIFFLAGS: $link: no such interface"
  case $* in
  '') show_interface "$link" ;;
  dhcp) echo "10.99.0.9 ffffff00" >"$run/plumbed/$link" ;;
  'inet '*' netmask '*' up') echo "$2 $4" >"$run/plumbed/$link" ;;
  'addif '*' netmask '*' up') echo "$2 $4" >>"$run/plumbed/$link" ;;
  *) refuse "ifconfig: bad argument $1" ;;
  esac
  ;;
routeadm)
  [ "$*" = '-u -e ipv4-forwarding' ] || refuse 'usage: routeadm'
  echo on >"$run/forwarding"
  ;;
svcs)
  [ "$*" = '-H -o state network/ipfilter' ] || refuse 'svcs: pattern does not match'
  cat "$run/ipfilter" 2>/dev/null || echo disabled
  ;;
svcadm)
  case "$*,$(cat "$run/ipfilter" 2>/dev/null)" in
  'enable -t network/ipfilter,'* | 'restart network/ipfilter,o'* | 'clear network/ipfilter,maintenance') ;;
  *) refuse "svcadm: nothing to do for $*" ;;
  esac
  # Its method puts links to what is in /var/fw, and loads what is there then.
  for one in ipnat.conf ipf.conf; do
    [ -e "$root/var/fw/$one" ] && [ ! -L "$root/etc/ipf/$one" ] || continue
    [ ! -e "$root/etc/ipf/$one" ] || mv "$root/etc/ipf/$one" "$root/etc/ipf/$one.orig"
    ln -s "$root/var/fw/$one" "$root/etc/ipf/$one"
  done
  rm -rf "$run/rules" && mkdir "$run/rules"
  cp "$root"/etc/ipf/ip*.conf "$run/rules/"
  echo online >"$run/ipfilter"
  ;;

vmadm)
  case $* in
  lookup) ls "$state/zones" ;;
  'get '*) cat "$state/zones/$2" ;;
  create) cat >"$state/created" ;;
  *) refuse "Invalid command: $1" ;;
  esac
  ;;
imgadm)
  [ "$*" = 'list -H -o uuid,type' ] || refuse "imgadm: unknown command"
  cat "$state/images"
  ;;
pgrep) [ -f "$run/ntpd" ] || exit 1 ;;
zonename) cat "$state/zone" 2>/dev/null || echo global ;;
ntpd) echo "$*" >"$run/ntpd" ;;

# What the platform does by itself.
stock-boot) # filesystem/smartdc, of the kind that insists on dump, swap and cores
  if grep -q '^noimport=true' "$state/bootparams"; then exit 0; fi
  PATH=$root/usr/sbin:$PATH # it calls the others
  system=zones
  while read -r pool _; do
    [ -n "$pool" ] && zpool import -f "$pool" || continue
    [ ! -f "$root/$pool/.system_pool" ] || system=$pool
  done <<<"$(importable)"
  pool_dir $system >/dev/null || exit 0 # not set up yet
  # A pool of that name that somebody else has made has none of it.
  [ -d "$(dataset_dir $system/usbkey)" ] || [ -d "$(dataset_dir $system/dump)" ] || exit 0
  mkdir -p "$root/usbkey"
  set -e # a real one goes on, without what is missing: a test has to see it
  mount -F zfs $system/var "$root/var"
  mount -F zfs $system/config "$root/etc/zones"
  mount -F zfs $system/opt "$root/opt"
  mount -F zfs $system/usbkey "$root/usbkey"
  mount -F lofs "$root/usbkey/shadow" "$root/etc/shadow"
  mount -F lofs "$root/usbkey/ssh" "$root/etc/ssh"
  for one in swap dump; do
    [ -d "$(dataset_dir $system/$one)" ] || refuse "no $system/$one" 95
  done
  mounted "$root/$system/global/cores" || refuse 'no cores' 95
  ;;
net-physical)
  PATH=$root/usr/sbin:$PATH
  admin_nic='' admin_ip='' admin_netmask='' etherstub=''
  # shellcheck source=/dev/null
  . "$root/usbkey/config"
  link=$(while read -r one mac; do
    # shellcheck disable=SC2046 # a word for each part
    printf -v mac ':%02x' $(printf '0x%s ' ${mac//:/ })
    [ "${mac#:}" != "$admin_nic" ] || echo "$one"
  done <"$state/nics")
  [ -n "$link" ] || refuse 'no admin NIC' 96
  ifconfig "$link" plumb
  if [ "$admin_ip" = dhcp ]; then ifconfig "$link" dhcp; else ifconfig "$link" inet "$admin_ip" netmask "$admin_netmask" up; fi
  for one in ${etherstub//,/ }; do dladm create-etherstub -t "$one"; done
  ;;
power-off)
  if [ -f "$run/mounts" ]; then
    tac "$run/mounts" | while read -r _ at; do
      rm -f "$at"
      [ ! -e "$at.below" ] || mv "$at.below" "$at"
    done
  fi
  rm -rf "$run"
  mkdir "$run"
  ;;
esac
