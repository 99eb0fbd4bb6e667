#!/bin/sh
# The inside of a SmartOS zone, for tests: dladm, ifconfig, ipf, ipnat, routeadm, svcs, svcadm, svccfg, dhcpd,
# mdata-get, zonename, uname and profiles, whichever it is called as. Its state is in $SMARTOS_STATE:
#
#   links/NAME       "etherstub" or "vnic OVER MAC"; busy/NAME: how often its deletion is refused yet
#   plumbed/NAME     "ADDRESS NETMASK", or empty
#   rules, ipf       rules of NAT; there while the filter runs
#   forwarding/      persistent, current: there when enabled
#   services/NAME/   state, enabled (there when it is), reason; manifest.xml and log of ours
#   zone, nics       name of the zone; its interfaces as the metadata have them
#
# It refuses what the real ones refuse. svcadm runs the methods that the imported manifest names. All calls are
# in the file "log". $SMARTOS_CUT is how a call begins that the power fails at: from there on nothing is done.
# "reboot" drops what is temporary, and starts the services that are enabled. mkdir, mv, rm, rmdir and tee are
# the machine's own; they are here to be logged, and to be cut off.
set -u
name=${0##*/}
cd "$SMARTOS_STATE" || exit 99
ours=application/hybrid-images/network
mkdir=/bin/mkdir
[ "$name ${1:-}" != 'dhcpd --serve' ] || {
  while [ -d "$SMARTOS_STATE" ]; do sleep 0.3; done
  exit
}
if [ "$name" = reboot ]; then /bin/rm -f off; fi
[ ! -f off ] || exit 137
echo "$name $*" >>log
case "$name $*" in
"${SMARTOS_CUT:-nothing}"*)
  : >off
  exit 137
  ;;
esac
refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}
is_digits() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# Fields of dladm -p: colons within are escaped.
print_link() {
  read -r kind over mac <"links/$2"
  [ "$kind" = "$3" ] || return 0
  line=
  for field in $(echo "$1" | tr , ' '); do
    case $field in
    link) value=$2 ;;
    over) value=$over ;;
    macaddress) value=$(echo "$mac" | sed 's/:/\\:/g') ;;
    *) refuse "dladm: invalid field: '$field'" ;;
    esac
    line=${line:+$line:}$value
  done
  echo "$line"
}
show_links() { # KIND -p -o FIELDS [NAME]
  [ "$2 $3" = '-p -o' ] || refuse 'dladm: usage' 2
  if [ $# -gt 4 ]; then
    read -r kind _ <"links/$5" 2>/dev/null || kind=
    [ "$kind" = "$1" ] || refuse "dladm: invalid $1 name '$5': object not found"
    print_link "$4" "$5" "$1"
  else
    for link in links/*; do [ ! -f "$link" ] || print_link "$4" "${link##*/}" "$1"; done
  fi
}
served() { [ -f dhcpd ] && kill -0 "$(cat dhcpd)" 2>/dev/null; }
delete_link() { # KIND NAME
  read -r kind _ 2>/dev/null <"links/$2" || kind=
  [ "$kind" = "$1" ] || refuse "dladm: invalid link name '$2'"
  if [ -f "busy/$2" ]; then
    left=$(($(cat "busy/$2") - 1))
    echo $left >"busy/$2"
    [ $left -gt 0 ] || /bin/rm -f "busy/$2"
    refuse "dladm: $1 deletion failed: link busy"
  fi
  [ ! -f "plumbed/$2" ] || refuse "dladm: $1 deletion failed: link busy"
  [ "$2" != dhcp0 ] || ! served || refuse "dladm: $1 deletion failed: link busy"
  ! grep -q "^vnic $2 " links/* 2>/dev/null || refuse "dladm: $1 deletion failed: link busy"
  /bin/rm "links/$2"
}

show_interface() {
  read -r address netmask 2>/dev/null <"plumbed/$1" || address=
  case $1 in
  lo0) flags='2001000849<UP,LOOPBACK,RUNNING,MULTICAST,IPv4,VIRTUAL>' ;;
  *) flags='1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4>' ;;
  esac
  if [ -z "$address" ]; then
    echo "$1: flags=1000842<BROADCAST,RUNNING,MULTICAST,IPv4> mtu 9000 index 3"
    printf '\tinet 0.0.0.0 netmask 0 \n'
    return
  fi
  echo "$1: flags=$flags mtu 1500 index 2"
  # shellcheck disable=SC2046,SC2183 # four words
  printf '\tinet %s netmask %02x%02x%02x%02x broadcast %s\n' "$address" $(echo "$netmask" | tr . ' ') "${address%.*}.255"
}

state_of() { cat "services/$1/state" 2>/dev/null || echo none; }
set_state() {
  echo "$2" >"services/$1/state"
  echo "${3:-}" >"services/$1/reason"
}
method() { # START|STOP
  command=$(tr '\n' ' ' <"services/$ours/manifest.xml" |
    sed "s/.*<exec_method [^>]*name=\"$1\"[^>]* exec=\"\\([^\"]*\\)\".*/\\1/")
  echo "[ Nov 21 10:00:00 Executing $1 method (\"$command\"). ]" >>"services/$ours/log"
  sh -c "exec $command" >>"services/$ours/log" 2>&1 </dev/null
}
start_service() {
  if [ "$1" != "$ours" ]; then
    set_state "$1" online
    : >ipf
    return
  fi
  for _ in 1 2 3; do
    method start
    status=$?
    [ ! -f off ] || exit 137
    case $status in
    0)
      set_state "$1" online
      return
      ;;
    96) break ;;
    esac
  done
  # The words are with the dollar sign.
  # shellcheck disable=SC2016
  case $status in
  96) set_state "$1" maintenance 'Start method exited with $SMF_EXIT_ERR_CONFIG.' ;;
  *) set_state "$1" maintenance "Start method failed repeatedly, last exited with status $status." ;;
  esac
}
stop_service() {
  if [ "$1" != "$ours" ]; then
    set_state "$1" disabled
    /bin/rm -f ipf
    return
  fi
  if [ "$(state_of "$1")" = online ] && ! method stop; then
    [ ! -f off ] || exit 137
    set_state "$1" maintenance 'Stop method failed.'
    return
  fi
  [ ! -f off ] || exit 137
  set_state "$1" disabled
}
service_named() {
  service=${1#svc:/}
  service=${service%:default}
  [ -d "services/$service" ] || refuse "$name: Pattern '$1' doesn't match any instances"
}

case $name in
mkdir | mv | rm | rmdir | tee) exec "/bin/$name" "$@" ;;
zonename) cat zone ;;
uname) echo 'SunOS joyent_20260501T000000Z i86pc' ;;
profiles) echo '          Basic Solaris User' ;;
mdata-get)
  [ "$1" = sdc:nics ] || refuse "No metadata for '$1'"
  cat nics
  ;;

dladm)
  case $* in
  'show-etherstub '*) shift && show_links etherstub "$@" ;;
  'show-vnic '*) shift && show_links vnic "$@" ;;
  'create-etherstub -t '*)
    (set -C && echo etherstub >"links/$3") 2>/dev/null ||
      refuse 'dladm: etherstub creation failed: object already exists'
    ;;
  'create-vnic -t -l '*)
    over=$4
    mac=2:8:20:$$:1:2
    shift 4
    if [ "$1" = -m ]; then
      mac=$2
      shift 2
    fi
    case $1 in [a-z]*[0-9]) ;; *) refuse "dladm: invalid link name '$1'" ;; esac
    [ -f "links/$over" ] || refuse "dladm: invalid link name '$over'"
    (set -C && echo "vnic $over $mac" >"links/$1") 2>/dev/null ||
      refuse "dladm: vnic creation over $over failed: object already exists"
    ;;
  'delete-etherstub -t '*) delete_link etherstub "$3" ;;
  'delete-vnic -t '*) delete_link vnic "$3" ;;
  *) refuse "dladm: unrecognized subcommand '$1'" 2 ;;
  esac
  ;;

ifconfig)
  case $* in
  -a) for link in plumbed/*; do show_interface "${link##*/}"; done ;;
  *' plumb')
    [ -f "links/$1" ] || refuse "ifconfig: cannot open link \"$1\": DLPI link does not exist"
    [ ! -f "plumbed/$1" ] || refuse "ifconfig: cannot plumb $1: Interface already exists"
    : >"plumbed/$1"
    ;;
  *' unplumb')
    [ -f "plumbed/$1" ] || refuse "ifconfig: cannot unplumb $1: Interface does not exist"
    /bin/rm "plumbed/$1"
    ;;
  *' netmask '*' up')
    [ -f "plumbed/$1" ] || refuse "ifconfig: $1: no such interface"
    echo "$2 $4" >"plumbed/$1"
    ;;
  *)
    [ -f "plumbed/$1" ] || refuse "ifconfig: status: SIOCGLIFFLAGS: $1: no such interface"
    show_interface "$1"
    ;;
  esac
  ;;

ipf)
  case $1 in
  -V)
    echo 'ipf: IP Filter: v4.1.9 (592)'
    [ ! -f ipf ] && echo 'Running: no' || echo 'Running: yes'
    ;;
  -E) : >ipf ;;
  -D)
    /bin/rm -f ipf
    : >rules
    ;;
  *) refuse 'usage: ipf' ;;
  esac
  ;;

ipnat)
  [ -f ipf ] || refuse 'open device: I/O error'
  case $* in
  -l)
    echo 'List of active MAP/Redirect filters:'
    sed 's,-> 0/32,-> 0.0.0.0/32,' rules
    printf '\nList of active sessions:\nMAP 10.0.0.10 39514 <- -> 192.168.1.20 1027 [1.1.1.1 53]\n'
    ;;
  '-f '* | '-r -f '*)
    for file; do :; done
    status=0
    sed '/^#/d; /^$/d' "$file" >wanted || exit 1
    while read -r rule; do
      echo "$rule" | grep -Eq '^map [a-z0-9]+ [0-9.]+/[0-9]+ -> 0/32( portmap tcp/udp auto)?$' ||
        refuse "ipnat: syntax error at \"$rule\""
      if grep -qxF "$rule" rules; then
        if [ "$1" = -r ]; then
          grep -vxF "$rule" rules >rules.new
          /bin/mv rules.new rules
        else
          echo 'ioctl(SIOCADNAT): File exists' >&2
          status=1
        fi
      elif [ "$1" = -r ]; then
        echo 'ioctl(SIOCRMNAT): No such process' >&2
        status=1
      else echo "$rule" >>rules; fi
    done <wanted
    exit $status
    ;;
  *) refuse 'usage: ipnat' ;;
  esac
  ;;

routeadm)
  is() { [ -f "forwarding/$1" ] && echo enabled || echo disabled; }
  case $* in
  '-p ipv4-forwarding') echo "persistent=$(is persistent) default=disabled current=$(is current)" ;;
  '-u -e ipv4-forwarding') : >forwarding/persistent && : >forwarding/current ;;
  '-u -d ipv4-forwarding') /bin/rm -f forwarding/* ;;
  *) refuse 'routeadm: usage' ;;
  esac
  ;;

svcs)
  case $* in
  '-H -o state '*)
    service_named "$4"
    state_of "$service"
    ;;
  '-xv '*)
    service_named "$2"
    echo "svc:/$service:default (hybrid-images build network)"
    echo " State: $(state_of "$service") since Sat Nov 21 10:00:00 2026"
    echo "Reason: $(cat "services/$service/reason")"
    echo '   See: http://illumos.org/msg/SMF-8000-KS'
    echo "   See: /var/svc/log/$(echo "$service" | tr / -):default.log"
    echo 'Impact: This service is not running.'
    ;;
  *) refuse 'svcs: usage' 2 ;;
  esac
  ;;

svcadm)
  verb=$1
  for last; do :; done
  case $* in
  "enable -s $last" | "disable -s $last" | "enable -s -t $last" | "disable -s -t $last" | "clear $last") ;;
  *) refuse 'svcadm: usage' 2 ;;
  esac
  service_named "$last"
  state=$(state_of "$service")
  case $verb,$state in
  enable,maintenance) refuse "svcadm: Instance \"$last\" is in maintenance state." ;;
  enable,online) : ;;
  enable,* | clear,maintenance)
    case $* in *' -t '*) ;; *) : >"services/$service/enabled" ;; esac
    start_service "$service"
    ;;
  clear,*) refuse "svcadm: Instance \"$last\" is not in a maintenance or degraded state." ;;
  disable,*)
    case $* in *' -t '*) ;; *) /bin/rm -f "services/$service/enabled" ;; esac
    [ "$state" = disabled ] || stop_service "$service"
    ;;
  esac
  [ "$(state_of "$service")" != maintenance ] || refuse "svcadm: Instance \"$last\" is in maintenance state."
  ;;

svccfg)
  case $* in
  'import '*)
    /usr/bin/python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$2" 2>/dev/null ||
      refuse "svccfg: couldn't parse document"
    grep -q "<service name=\"$ours\" type=\"service\" version=\"1\">" "$2" || refuse 'svccfg: no service'
    for fmri in network/physical system/filesystem/local; do
      grep -q "value=\"svc:/$fmri:default\"" "$2" || refuse "svccfg: it does not wait for $fmri"
    done
    $mkdir -p "services/$ours"
    /bin/cp "$2" "services/$ours/manifest.xml"
    [ -f "services/$ours/state" ] || set_state "$ours" disabled
    ;;
  'delete -f '*)
    service_named "$3"
    [ "$(state_of "$service")" = disabled ] || refuse "svccfg: $3 is not disabled"
    /bin/rm -r "services/$service"
    ;;
  *) refuse 'svccfg: usage' 2 ;;
  esac
  ;;

dhcpd)
  [ "$1 $2 $3 $5 $7" = '-4 -q -cf -lf -pf' ] || refuse 'Usage: dhcpd'
  conf=$4 leases=$6 pid=$8
  shift 8
  [ -f "$leases" ] || refuse "Can't open lease database $leases: No such file or directory"
  ! served || refuse "There's already a DHCP server running."
  read -r address netmask <"plumbed/$1" || refuse "No subnet declaration for $1 (no IPv4 addresses)."
  grep -q "^subnet ${address%.*}\.[0-9]* netmask $netmask {" "$conf" ||
    refuse "No subnet declaration for $1 ($address)."
  "$0" --serve >/dev/null 2>&1 </dev/null &
  echo $! >dhcpd
  echo $! >"$pid"
  ;;

reboot)
  if served; then kill "$(cat dhcpd)"; fi
  for link in links/*; do
    case $link in */net0) ;; *) /bin/rm -f "$link" "plumbed/${link##*/}" ;; esac
  done
  /bin/rm -rf dhcpd ipf busy /run/hybrid-images forwarding/current
  $mkdir busy
  : >rules
  [ ! -f forwarding/persistent ] || : >forwarding/current
  for service in network/ipfilter $ours; do
    [ -d "services/$service" ] || continue
    set_state "$service" disabled
    [ ! -f "services/$service/enabled" ] || start_service "$service"
  done
  ;;

*) refuse "$name: not found" 127 ;;
esac
