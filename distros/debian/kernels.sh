#!/bin/sh
# Leaves one kernel in the system: the one that was asked for, else the newest, and none in a root tar for which
# none was asked for. Runs inside the new system, also while it runs on one that goes.
#
# Environment: CUSTOM_KERNEL (package, or nothing), FORMAT (tgz: a root tar).
set -eu
export DEBIAN_FRONTEND=noninteractive

# --- What is to stay, and what that needs: a package may do no more than name the newest kernel.
installed() {
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
}
needs() {
  dpkg-query -W -f '${Depends}\n' "$1" 2>/dev/null | tr ',|' '\n\n' |
    sed -n 's/^ *\(linux-[a-z0-9.+-]*\).*/\1/p'
}
keep=
add() {
  case " $keep " in *" $1 "*) return ;; esac
  keep="$keep $1"
  for one in $(needs "$1"); do add "$one"; done
}
if [ -n "$CUSTOM_KERNEL" ]; then
  add "$CUSTOM_KERNEL"
elif [ "$FORMAT" != tgz ]; then
  for package in $(installed 'linux-image-[a-z]*'); do add "$package"; done
  case $keep in
  *linux-image-[0-9]*) ;;
  *) exit 0 ;; # nothing names the newest
  esac
fi

# --- Removing the kernel that runs is a question, which nobody is here to answer.
if [ -n "$(installed linux-base)" ]; then
  echo 'linux-base linux-base/removing-running-kernel boolean false' | debconf-set-selections
fi
gone=
for package in $(installed 'linux-image-*' 'linux-modules-*'); do
  case " $keep " in
  *" $package "*) ;;
  *) gone="$gone $package" ;;
  esac
done
# shellcheck disable=SC2086
if [ -n "$gone" ]; then apt-get -q -y --allow-remove-essential purge $gone; fi
