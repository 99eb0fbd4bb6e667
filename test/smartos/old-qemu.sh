#!/bin/sh
# QEMU 0.14 as SmartOS has it, for tests: what it does not know it refuses as that did; the rest is the
# machine's own QEMU, in today's words.
set -u
case $* in
-help)
  cat <<'END'
QEMU emulator version 0.14.1 (qemu-kvm-devel), Copyright (c) 2003-2008 Fabrice Bellard
usage: qemu [options] [disk_image]
-M machine      select emulated machine (-M ? for list)
-cpu cpu        select CPU (-cpu ? for list)
-smp n[,maxcpus=cpus][,cores=cores][,threads=threads][,sockets=sockets]
-drive [file=file][,if=type][,bus=n][,unit=m][,media=d][,index=i]
       [,cyls=c,heads=h,secs=s[,trans=t]][,snapshot=on|off]
       [,cache=writethrough|writeback|none|unsafe][,format=f]
       [,serial=s][,addr=A][,id=name][,aio=threads|native]
       [,readonly=on|off][,boot=on|off]
-boot [order=drives][,once=drives][,menu=on|off]
-m megs         set virtual RAM size to megs MB [default=128]
-name string1[,process=string2]
-nographic      disable graphical output and redirect serial I/Os to console
-vga [std|cirrus|vmware|qxl|xenfb|none]
-vnc display    start a VNC server on display
-enable-kvm     enable KVM full virtualization support
-no-kvm         disable KVM hardware virtualization
END
  exit
  ;;
'-device ?')
  cat >&2 <<'END'
name "ide-drive", bus IDE
name "virtio-blk-pci", bus PCI, alias "virtio-blk"
name "virtio-net-pci", bus PCI
name "e1000", bus PCI, desc "Intel Gigabit Ethernet"
END
  exit 1
  ;;
'-device virtio-blk-pci,?')
  echo 'virtio-blk-pci.drive=drive' >&2
  exit 1
  ;;
esac
refuse() {
  echo "qemu-system-x86_64: $1" >&2
  exit 1
}
known=' -M -no-kvm -cpu -smp -m -smbios -rtc -nodefaults -no-reboot -vga -vnc -boot -drive -device -kernel -initrd -append -netdev -chardev -serial -qmp -name -S '
before=
count=$#
while [ "$count" -gt 0 ]; do
  word=$1
  shift
  count=$((count - 1))
  case $before,$word in
  -append,* | -cpu,*) ;; # may have a comma and a minus of their own
  *,-*)
    case $known in *" $word "*) ;; *) refuse "$word: invalid option" ;; esac
    case $word in
    -M) set -- "$@" -machine ;;
    -no-kvm) set -- "$@" -accel tcg -display none ;;
    *) set -- "$@" "$word" ;;
    esac
    before=$word
    continue
    ;;
  -drive,*discard=*) refuse "-drive $word: invalid option: discard" ;;
  -device,*bootindex=*) refuse "-device $word: Property 'bootindex' not found" ;;
  -device,ide-drive,drive=cd*) word=ide-cd,${word#ide-drive,} ;;
  -device,ide-drive,*) word=ide-hd,${word#ide-drive,} ;;
  -device,virtio-blk-pci,* | -device,virtio-net-pci,* | -device,e1000,*) ;;
  -device,*) refuse "Device '${word%%,*}' could not be initialized" ;;
  -vnc,*,password) word=$word=on ;;
  esac
  set -- "$@" "$word"
  before=
done
exec qemu-system-x86_64 "$@"
