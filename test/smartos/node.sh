#!/bin/sh
# A SmartOS compute node with one zone, for tests: vmadm, imgadm, zfs, zonecfg, zlogin, pgrep and zonename,
# whichever it is called as. Its state is files in $SMARTOS_STATE: zone, uuid, brand, state, image (name and
# version), spoofing, nics, config (as zonecfg exports it), in-force (the same, at the last boot), packages,
# processes, and a directory datasets. It refuses what the real ones refuse.
#
# $SMARTOS_FAIL is how a call begins that ends before it has done anything, as a power cut would do it. Everything that is called is in the file "log".
set -u
name=${0##*/}
cd "$SMARTOS_STATE" || exit 99
echo "$name $*" >>log
case "$name $*" in
"${SMARTOS_FAIL:-nothing}"*) exit 137 ;;
esac
uuid=$(cat uuid)
refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}
known() { [ "$1" = "$uuid" ] || refuse "$2"; }
dataset() { echo "datasets/$(echo "$1" | tr / +)"; }

case $name in
zonename) cat zone ;;

vmadm)
  known "$2" "Unable to find VM $2"
  case $1 in
  get)
    nics='[]'
    [ ! -s nics ] || nics="[{\"interface\": \"net0\", \"mac\": \"$(cat nics)\", \"allow_ip_spoofing\": $(cat spoofing)}]"
    printf '{"uuid": "%s", "brand": "%s", "state": "%s", "image_uuid": "%s", "nics": %s}\n' \
      "$uuid" "$(cat brand)" "$(cat state)" e44ed3e0-910b-11ed-a5d4-00151714048c "$nics"
    ;;
  stop)
    [ "$(cat state)" = running ] || refuse "VM $uuid is not running"
    echo stopped >state
    : >in-force
    ;;
  start)
    [ "$(cat state)" = stopped ] || refuse "VM $uuid is already running"
    for wanted in $(sed -n '/^add dataset/,/^end/s/^set name=//p' config); do
      grep -qx 'zoned=on' "$(dataset "$wanted")" || refuse "dataset $wanted is not there, or not zoned"
    done
    echo running >state
    cp config in-force
    ;;
  update)
    grep -q "\"update_nics\":\[{\"mac\":\"$(cat nics)\",\"allow_ip_spoofing\":true}\]" || refuse 'Invalid payload'
    echo true >spoofing
    ;;
  *) refuse "Invalid command: $1" ;;
  esac
  ;;

imgadm)
  [ -s image ] || refuse "imgadm get: error (ImageNotInstalled)"
  read -r image version <image
  printf '{"manifest": {"name": "%s", "version": "%s"}, "zpool": "zones"}\n' "$image" "$version"
  ;;

zfs)
  verb=$1
  for last; do :; done
  file=$(dataset "$last")
  case $verb in
  list)
    [ -f "$file" ] || refuse "cannot open '$last': dataset does not exist"
    printf '%s\t%s\n' "$(sed -n 's/^zoned=//p' "$file")" "$(sed -n 's/^mountpoint=//p' "$file")"
    exit
    ;;
  create)
    [ ! -f "$file" ] || refuse "cannot create '$last': dataset already exists"
    : >"$file"
    ;;
  set) ;;
  *) refuse "unrecognized command '$verb'" 2 ;;
  esac
  shift
  for word; do
    case $word in
    -o | "$last") ;;
    zoned=* | mountpoint=*)
      grep -v "^${word%%=*}=" "$file" >"$file.new"
      echo "$word" >>"$file.new"
      mv "$file.new" "$file"
      ;;
    *) refuse "cannot set property: invalid property '${word%%=*}'" ;;
    esac
  done
  ;;

zonecfg)
  [ "$1" = -z ] || refuse 'usage: zonecfg -z zone' 2
  known "$2" "zonecfg: $2: No such zone configured"
  case $3 in
  export)
    cat config
    exit
    ;;
  esac
  echo "$3" | tr ';' '\n' | sed 's/^ *//; s/ *$//' >commands
  kind=
  while read -r command; do
    case $kind,$command in
    ,'add dataset' | ,'add fs' | ,'add device') kind=${command#add } ;;
    ,'set limitpriv='* | ,'set fs-allowed='*)
      key=${command#set }
      grep -v "^set ${key%%=*}=" config >config.new
      echo "set ${key%%=*}=\"${key#*=}\"" >>config.new
      mv config.new config
      continue
      ;;
    dataset,'set name='* | fs,'set dir='* | device,'set match='*)
      ! grep -qxF "$command" config || refuse "A $kind resource with ${command#set } already exists."
      ;;
    fs,'set special=/smartdc' | fs,'set type=lofs' | fs,'add options ro') ;;
    ?*,end) kind= ;;
    *) refuse "zonecfg: $command: syntax error" ;;
    esac
    echo "$command" >>config
  done <commands
  [ -z "$kind" ] || refuse 'zonecfg: resource is not complete'
  ;;

pgrep)
  [ -s processes ] || exit 1
  cat processes
  ;;

zlogin)
  known "$1" "zlogin: zone '$1' unknown"
  [ "$(cat state)" = running ] || refuse "zlogin: zone '$1' not running"
  shift
  case $* in
  'svcs -H -o state svc:/milestone/multi-user-server:default') echo online ;;
  'ls -d '*)
    shift 2
    for path; do
      case $path in
      /data) line="set name=zones/$uuid/data" ;;
      /smartdc) line='set dir=/smartdc' ;;
      /dev/kvm) line='set match=kvm' ;;
      /dev/viona) line='set match=/dev/viona' ;;
      *) line='set match=/dev/vmm*' ;;
      esac
      grep -qxF "$line" in-force || refuse "ls: cannot access $path: No such file or directory" 2
    done
    ;;
  '/opt/local/bin/pkgin list') sed 's/$/-1.2.3  a program/' packages ;;
  '/opt/local/bin/pkgin -y update') ;;
  '/opt/local/bin/pkgin -y install '*)
    shift 3
    for one; do echo "$one" >>packages; done
    ;;
  *) refuse "zlogin: exec failure: $1" 127 ;;
  esac
  ;;
esac
