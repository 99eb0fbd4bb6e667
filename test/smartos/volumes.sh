#!/bin/sh
# The zfs of a build zone, for tests: volumes below the zone's own dataset, in files. Its state is in
# $SMARTOS_STATE: data (name of the dataset; none is a zone without), volumes/, and busy-volume, the number of
# destroys that are still refused after the last machine has gone. Everything that is called is in "log".
# $SMARTOS_SEND makes a send stream of a raw disk: it is called with both paths and the block size.
set -u
state=$SMARTOS_STATE
echo "zfs $*" >>"$state/log"
refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}
for last; do :; done
file=$state/volumes/$(echo "$last" | tr / +)
verb=$1
case $verb in
list)
  [ "$2 $3 $4" = '-H -o name,mountpoint' ] || refuse 'invalid option' 2
  data=$(cat "$state/data" 2>/dev/null)
  case $last in
  /data) [ -n "$data" ] && printf '%s\t/data\n' "$data" || printf 'zones/zone\t/\n' ;;
  "$data") printf '%s\t/data\n' "$data" ;;
  *) refuse "cannot open '$last': dataset does not exist" ;;
  esac
  ;;
create)
  [ "$2 $3 $5" = '-s -V -o' ] || refuse 'missing size' 2
  case $last in "$(cat "$state/data")"/*) ;; *) refuse "cannot create '$last': parent does not exist" ;; esac
  [ ! -e "$file" ] || refuse "cannot create '$last': dataset already exists"
  case $6 in volblocksize=*) ;; *) refuse "bad property '$6'" ;; esac
  truncate -s "$4" "$file"
  echo "${6#*=}" >"$file.blocks"
  mkdir -p "/dev/zvol/rdsk/${last%/*}"
  ln -s "$file" "/dev/zvol/rdsk/$last"
  ;;
snapshot)
  volume=$state/volumes/$(echo "${last%@*}" | tr / +)
  [ -e "$volume" ] || refuse "cannot open '${last%@*}': dataset does not exist"
  [ ! -e "$file" ] || refuse "cannot create snapshot '$last': dataset already exists"
  cp --sparse=always "$volume" "$file"
  $SMARTOS_SEND "$file" "$file.zfs" "$(cat "$volume.blocks")" >/dev/null || exit 1
  ;;
get)
  [ "$2 $3 $4 $5 $6" = '-H -p -o property,value guid,referenced' ] || refuse 'invalid option' 2
  [ -e "$file" ] || refuse "cannot open '$last': dataset does not exist"
  # As the stream's first record has it.
  guid=$(od -An -t u8 -j 40 -N 8 "$file.zfs" | tr -d ' ')
  printf 'guid\t%s\nreferenced\t%s\n' "$guid" "$(($(stat -c %b "$file") * 512))"
  ;;
send)
  [ -e "$file" ] || refuse "cannot open '$last': dataset does not exist"
  cat "$file.zfs"
  ;;
destroy)
  [ "$2" = -r ] || refuse 'invalid option' 2
  [ -e "$file" ] || refuse "cannot open '$last': dataset does not exist"
  left=$(cat "$state/busy-volume" 2>/dev/null || echo 0)
  if [ -n "$(ls "$state/vmm" 2>/dev/null)" ] || [ "$left" -gt 0 ]; then
    echo $((left - 1)) >"$state/busy-volume"
    refuse "cannot destroy '$last': dataset is busy"
  fi
  rm -f "$file" "$file".blocks "$file"@*
  rm "/dev/zvol/rdsk/$last"
  rmdir -p "/dev/zvol/rdsk/${last%/*}" 2>/dev/null
  exit 0
  ;;
*) refuse "unrecognized command '$verb'" 2 ;;
esac
