#!/bin/sh
# Makes what each kernel boots with. It was put off while packages were installed, which would have made it
# twice. A system without a kernel needs none.
#
# Environment: none. Runs inside the new system, behind the operator's script.
set -eu

# The bytes are the same for any number of threads, and for zstd's own default; not for 0, which to zstd 1.5.7 is none.
export ZSTD_NBTHREADS=4

# mkinitramfs starts some fifteen programs and subshells for each of a thousand modules, most of them to find out
# that a path is as it should be. Functions of the same names, which it reads with its configuration, note modules
# down and copy all of them at once, before anything else is copied; and only modules that name firmware are asked
# for it. Whatever else they are asked they pass on. They are no part of what is made, and gone afterwards.
quick=/etc/initramfs-tools/conf.d/zz-hybrid-images
hook=/etc/initramfs-tools/hooks/zz-hybrid-images
functions=/usr/share/initramfs-tools/hook-functions
# Where a directory below is a link, a module's path is not what it is called in the initramfs.
links=$(find /lib/modules/ -type l ! -name build ! -name source 2>/dev/null || true)
case $(readlink -f /lib/modules) in /lib/modules | /usr/lib/modules) ;; *) links=yes ;; esac
if [ -d "${quick%/*}" ] && [ -d "${hook%/*}" ] && [ -e "$functions" ] && [ -z "$links" ]; then
  trap 'rm -f "$quick" "$hook"' EXIT
  cat >"$quick" <<'END'
hybrid_images_firmware=" $(cd /lib/modules && grep -rla --include='*.ko' 'firmware=' . | tr '\n' ' ') "
modinfo() {
  case "$*" in
  *' -F firmware '*.ko)
    case $hybrid_images_firmware in *" ./${5#*/lib/modules/} "*) ;; *) return 0 ;; esac
    ;;
  esac
  command modinfo "$@"
}
hybrid_images_copy() {
  [ -e "$DESTDIR/hybrid-images" ] || return 0
  {
    tar -C /lib/modules -cf - --no-recursion --hard-dereference --verbatim-files-from -T "$DESTDIR/hybrid-images" ||
      touch "$DESTDIR/hybrid-images.failed"
  } | tar -C "$DESTDIR/usr/lib/modules" -xpf - &&
    [ ! -e "$DESTDIR/hybrid-images.failed" ] && rm "$DESTDIR/hybrid-images"
}
copy_file() {
  case "${verbose:-n}:$#:$1:$2" in
  *:*/../* | *:*/./* | *//*) ;;
  n:2:module:/lib/modules/* | n:2:module:/usr/lib/modules/*)
    [ -f "$2" ] || return 2
    set -- "${2#*/lib/modules/}" "$DESTDIR/usr/lib/modules/${2#*/lib/modules/}"
    if [ -e "$2" ]; then return 1; fi
    [ -d "${2%/*}" ] || mkdir -p "${2%/*}"
    : >"$2"
    printf '%s\n' "$1" >>"$DESTDIR/hybrid-images"
    return 0
    ;;
  *:firmware:*) ;;
  *) hybrid_images_copy || { echo 'E: Cannot copy the modules' >&2; exit 1; } ;;
  esac
  (. /usr/share/initramfs-tools/hook-functions && copy_file "$@")
}
END
  cat >"$hook" <<'END'
#!/bin/sh
if [ "${1-}" = prereqs ]; then exit 0; fi
rm -f "$DESTDIR/conf/conf.d/zz-hybrid-images"
if [ -e "$DESTDIR/hybrid-images" ]; then
  echo 'E: The modules were not copied' >&2
  exit 1
fi
END
  chmod 755 "$hook"
fi

for kernel in /boot/vmlinuz-*; do
  if [ -e "$kernel" ]; then update-initramfs -c -k "${kernel#/boot/vmlinuz-}"; fi
done
