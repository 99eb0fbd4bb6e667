#!/bin/sh
# Makes what each kernel boots with. It was put off while packages were installed, which would have made it
# twice. A system without a kernel needs none.
#
# Environment: none. Runs inside the new system, behind the operator's script.
set -eu

# On all cores: the bytes are the same on any number of them.
export ZSTD_NBTHREADS=0

# mkinitramfs starts realpath and readlink for each of some thousand files, nearly always for a path that is as
# it should be. Functions of these names, which it reads with its configuration, answer those and pass the others
# on; they are no part of what is made, and gone afterwards.
quick=/etc/initramfs-tools/conf.d/zz-hybrid-images
hook=/etc/initramfs-tools/hooks/zz-hybrid-images
if [ -d "${quick%/*}" ] && [ -d "${hook%/*}" ]; then
  trap 'rm -f "$quick" "$hook"' EXIT
  cat >"$quick" <<'END'
hybrid_images_bin=$(command readlink -f /bin)
readlink() {
  if [ "$*" = '-f /bin' ]; then printf '%s\n' "$hybrid_images_bin"; else command readlink "$@"; fi
}
realpath() {
  [ $# -eq 2 ] || { command realpath "$@"; return; }
  case $1:$2 in
  */ | */. | */.. | */./* | */../* | *//*//* | -s:*//*) command realpath "$@" ;;
  -ms://*) printf '%s\n' "${2#/}" ;;
  -s:/*) if [ -e "$2" ]; then printf '%s\n' "$2"; else command realpath "$@"; fi ;;
  *) command realpath "$@" ;;
  esac
}
END
  cat >"$hook" <<'END'
#!/bin/sh
if [ "${1-}" = prereqs ]; then exit 0; fi
rm -f "$DESTDIR/conf/conf.d/zz-hybrid-images"
END
  chmod 755 "$hook"
fi

for kernel in /boot/vmlinuz-*; do
  if [ -e "$kernel" ]; then update-initramfs -c -k "${kernel#/boot/vmlinuz-}"; fi
done
