#!/bin/sh
# Makes what each kernel boots with. It was put off while packages were installed, which would have made it
# twice. A system without a kernel needs none.
#
# Environment: none. Runs inside the new system, behind the operator's script.
set -eu

for kernel in /boot/vmlinuz-*; do
  if [ -e "$kernel" ]; then update-initramfs -c -k "${kernel#/boot/vmlinuz-}"; fi
done
