#!/bin/sh
# SmartOS' bhyve and bhyvectl, for tests, whichever it is called as: the machine is QEMU's, the words, the
# exit statuses and the refusals are bhyve's. Its state is the directory vmm in $SMARTOS_STATE, with a file
# for each machine that was made and not destroyed. Everything that is called is in the file "log".
#
# $BHYVE_END is an exit status to end with whatever the guest does.
set -u
name=${0##*/}
state=$SMARTOS_STATE
mkdir -p "$state/vmm"
echo "$name $*" >>"$state/log"
refuse() {
  echo "$1" >&2
  exit "${2:-4}"
}

if [ "$name" = bhyvectl ]; then
  [ "${2:-}" = --destroy ] || refuse "Usage: bhyvectl --vm=<vmname> --destroy" 1
  vm=${1#--vm=}
  [ -e "$state/vmm/$vm" ] || refuse "VM:$vm is not created." 1
  pid=$(cat "$state/vmm/$vm")
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
  rm "$state/vmm/$vm"
  exit 0
fi

if [ "$*" = -h ]; then
  printf 'Usage: bhyve [-aCDdeHhPSuWwxY]\n       -k: key=value flat config file\n' >&2
  exit 0
fi
for vm; do :; done
case $vm in -* | *,*) refuse "Usage: bhyve [-aCDdeHhPSuWwxY] ..." 1 ;; esac
[ ! -e "$state/vmm/$vm" ] || refuse "vm_create: File exists"

fifo=$(mktemp -u "${TMPDIR:-/tmp}/bhyve.XXXXXX")
memory='' cpus=1 taken='' rom='' password=''
options=$(mktemp "${TMPDIR:-/tmp}/bhyve.XXXXXX")
trap 'rm -f "$fifo" "$options" "$options.events"' EXIT
word() { printf '%s\n' "$1" >>"$options"; }
file() { [ -e "$1" ] || refuse "Could not open backing file: $1: No such file or directory"; }

while [ $# -gt 1 ]; do
  case $1 in
  -H) shift; continue ;;
  -c) cpus=$2 ;;
  -m) memory=${2%M} ;;
  -U) word -uuid; word "$2" ;;
  -B) word -smbios; word "type=$2" ;;
  -k)
    [ "$(stat -c %a "$2")" = 600 ] || refuse "$2 can be read by others"
    password=$(sed -n 's/^pci\.0\.30\.0\.password=//p' "$2")
    ;;
  -s)
    slot=${2%%,*}
    rest=${2#*,}
    case ,$taken, in *,"$slot",*) refuse "pci slot $slot already occupied!" ;; esac
    taken=$taken,$slot
    function=${slot#*:}
    case $slot,$rest in
    0:0,hostbridge,model=i440fx | 31,lpc | 30:1,xhci,tablet) ;;
    3:?,ahci-cd,*)
      file "${rest#*,}"
      word -drive; word "file=${rest#*,},format=raw,if=none,id=cd$function,readonly=on"
      word -device; word "ide-cd,drive=cd$function,bus=ide.$function,bootindex=$function"
      ;;
    4:0,virtio-blk,* | 5:?,virtio-blk,*)
      file "${rest#*,}"
      word -drive; word "file=${rest#*,},format=raw,if=none,id=disk${slot%:*}$function,discard=unmap"
      word -device; word "virtio-blk-pci,drive=disk${slot%:*}$function,bus=pcie.0,addr=${slot%:*}.$function,disable-modern=on,disable-legacy=off,bootindex=1${slot%:*}"
      ;;
    6:0,virtio-net-viona,*)
      dladm show-vnic -p -o link "${rest#*,}" >/dev/null 2>&1 || refuse "open failed: ${rest#*,}: No such link"
      word -netdev; word user,id=net0
      word -device; word virtio-net-pci,netdev=net0,bus=pcie.0,addr=6.0,disable-modern=on,disable-legacy=off
      ;;
    30:0,fbuf,vga=on,rfb=127.0.0.1:59??) word -vga; word std ;;
    *) refuse "pci slot $slot: unknown device \"$rest\"" ;;
    esac
    ;;
  -l)
    case $2 in
    bootrom,/usr/share/bhyve/uefi-csm-rom.bin) rom=bios ;;
    com1,socket,*,wait)
      path=${2#com1,socket,}
      word -chardev; word "socket,id=com1,path=${path%,wait},server=on,wait=on"
      word -serial; word chardev:com1
      ;;
    com2,socket,*) word -chardev; word "socket,id=com2,path=${2#com2,socket,},server=on,wait=off"; word -serial; word chardev:com2 ;;
    *) refuse "invalid lpc device configuration '$2'" 1 ;;
    esac
    ;;
  *) refuse "bhyve: invalid option -- '${1#-}'" 1 ;;
  esac
  shift 2
done
[ "$rom" = bios ] || refuse 'No bootrom' 4
case ,$taken, in *,31,*) ;; *) refuse 'com1 needs an lpc bridge' ;; esac
case ,$taken, in *,30:0,*) [ -n "$password" ] || refuse 'no password' ;; esac

echo >"$state/vmm/$vm"
mkfifo "$fifo"
# Its words are a line each.
IFS='
'
set -f
# shellcheck disable=SC2046
set -- $(cat "$options")
unset IFS
qemu-system-x86_64 -name "$vm" -machine q35 -accel tcg -cpu Nehalem -m "$memory" -smp "$cpus" \
  -nodefaults -display none -no-reboot -qmp stdio "$@" <"$fifo" >"$options.events" &
qemu=$!
echo "$qemu" >"$state/vmm/$vm"
exec 9>"$fifo"
echo '{"execute":"qmp_capabilities"}' >&9
wait "$qemu"
status=$?
exec 9>&-
echo >"$state/vmm/$vm"
[ -z "${BHYVE_END:-}" ] || { echo 'as the test wants it' >&2; exit "$BHYVE_END"; }
[ "$status" -eq 0 ] || refuse "vm exit $status"
if grep -q '"reason": "guest-reset"' "$options.events"; then exit 0; fi
exit 1
