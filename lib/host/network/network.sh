#!/bin/sh
# Written by hybrid-images (setup-build-network), which replaces changes
#
# Method of svc:/application/hybrid-images/network. "start ADDRESS NETMASK" makes what is missing and keeps
# what is there, so that it may be cut off anywhere; "stop" takes away what start has made. Links are
# temporary: a reboot of the zone takes them, and the service makes them anew.
# Commands are dladm(8), ifconfig(8), routeadm(8), ipf(8), ipnat(8), svcadm(8), and dhcpd of pkgsrc.
set -u

here=/opt/hybrid-images/network
run=/var/run/hybrid-images/network
switch=hybrid0
link=dhcp0
dhcpd=/opt/local/sbin/dhcpd
# Lasts over a reboot, as forwarding does; what tells that ipfilter is our doing goes with it.
forwarding_note=$here/forwarding-turned-on
ipfilter_note=$run/ipfilter-turned-on

# SMF_EXIT_ERR_CONFIG: the service is in maintenance at once, as another try would end like this one.
give_up() {
  echo "$*" >&2
  exit 96
}

make_links() {
  dladm show-etherstub -p -o link "$switch" >/dev/null 2>&1 ||
    dladm create-etherstub -t "$switch" || exit 1
  case $(dladm show-vnic -p -o over "$link" 2>/dev/null) in
  "$switch") ;;
  '') dladm create-vnic -t -l "$switch" "$link" || exit 1 ;;
  *) give_up "$link is there already, and not on $switch: delete or rename it" ;;
  esac
  shown=$(ifconfig "$link" 2>/dev/null) || ifconfig "$link" plumb || exit 1
  case $shown in
  *'<UP,'*"inet $address netmask "*) ;;
  *) ifconfig "$link" "$address" netmask "$netmask" up || exit 1 ;;
  esac
}

forward() {
  case $(routeadm -p ipv4-forwarding) in
  *current=enabled*) return ;;
  esac
  note "$forwarding_note"
  routeadm -u -e ipv4-forwarding || exit 1
}

note() {
  sed -n 2p "$here/network.sh" >"$1" || exit 1
}

filters() {
  case $(ipf -V 2>/dev/null) in
  *'Running: yes'*) return 0 ;;
  esac
  return 1
}

# With -t until the next boot. The service does not start the filter where there is no file with its rules.
filter() {
  filters && return
  note "$ipfilter_note"
  svcadm enable -s -t network/ipfilter
  filters || ipf -E || exit 1
}

translates() {
  wanted=$(sed -n 's/^\(map .*\) -> .*/\1/p' "$here/ipnat.conf" | sed 1q)
  count=$(sed -n '/^map /p' "$here/ipnat.conf" | wc -l)
  [ "$(ipnat -l | grep -c "^$wanted -> ")" -eq "$count" ]
}

# A rule twice is an error, half of the rules is worse than none.
translate() {
  translates && return
  ipnat -r -f "$here/ipnat.conf" >/dev/null 2>&1
  ipnat -f "$here/ipnat.conf" || exit 1
  translates || give_up "ipnat does not keep the rules of $here/ipnat.conf"
}

# The process of our own dhcpd, or nothing: a number in a file may be anybody's by now.
serving() {
  pid=$(cat "$run/dhcpd.pid" 2>/dev/null) || return 1
  case $(ps -o args= -p "${pid:-none}" 2>/dev/null) in
  *dhcpd*) return 0 ;;
  esac
  return 1
}

# Leases are by MAC, so that none is lost with the file.
serve() {
  serving && return
  [ -x "$dhcpd" ] || give_up "$dhcpd is missing: pkgin -y install isc-dhcpd"
  : >>"$run/dhcpd.leases" || exit 1
  "$dhcpd" -4 -q -cf "$here/dhcpd.conf" -lf "$run/dhcpd.leases" -pf "$run/dhcpd.pid" "$link" ||
    give_up "dhcpd does not run with $here/dhcpd.conf"
}

start() {
  mkdir -p "$run/slots" && chmod 1777 "$run/slots" || exit 1
  make_links
  forward
  filter
  translate
  serve
}

stop_serving() {
  tries=10
  while serving && [ $tries -gt 0 ]; do
    kill "$pid"
    sleep 1
    tries=$((tries - 1))
  done
  serving && kill -9 "$pid"
  rm -f "$run/dhcpd.pid"
}

stop() {
  stop_serving
  [ ! -f "$here/ipnat.conf" ] || ipnat -r -f "$here/ipnat.conf" >/dev/null 2>&1
  if [ -f "$ipfilter_note" ]; then
    svcadm disable -s -t network/ipfilter
    filters && ipf -D
    rm -f "$ipfilter_note"
  fi
  if [ -f "$forwarding_note" ]; then
    routeadm -u -d ipv4-forwarding || exit 1
    rm -f "$forwarding_note"
  fi
  if [ "$(dladm show-vnic -p -o over "$link" 2>/dev/null)" = "$switch" ]; then
    ifconfig "$link" >/dev/null 2>&1 && { ifconfig "$link" unplumb || exit 1; }
    dladm delete-vnic -t "$link" || exit 1
  fi
  dladm show-etherstub -p -o link "$switch" >/dev/null 2>&1 || return 0
  if dladm show-vnic -p -o over | grep "^$switch\$" >/dev/null; then
    echo "$switch is kept: builds are on it"
  else
    dladm delete-etherstub -t "$switch" || exit 1
  fi
}

case ${1:-} in
start)
  address=${2:?address} netmask=${3:?netmask}
  start
  ;;
stop) stop ;;
*)
  echo "usage: $0 start ADDRESS NETMASK | stop" >&2
  exit 2
  ;;
esac
exit 0
