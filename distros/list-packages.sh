#!/bin/sh
# Prints every package of the new system, for the bill of materials: lib/image/package-list.ts reads it, from
# the serial console or from the output of what fills the disk. Runs inside the new system, as root, behind
# the operator's script and before the clean-up. Nothing is changed.
#
#   hybrid-images-system|ID|VERSION_ID|deb or rpm|.
#   hybrid-images-package|NAME|VERSION|ARCHITECTURE|SOURCE|SOURCE-VERSION|.
#   hybrid-images-licence|NAME|a piece of its licences, joined by ";"|.
#   hybrid-images-packages|how many|.
#
# Lines are short, as a log on the way to the console may cut longer ones, and end in a mark, so that one that
# something else was printed into is known for it.
set -eu
export LC_ALL=C

id='' version=''
# shellcheck disable=SC1091 # it is the guest's
if [ -r /etc/os-release ]; then
  id=$(. /etc/os-release && echo "${ID-}")
  version=$(. /etc/os-release && echo "${VERSION_ID-}")
fi
kind=rpm
if command -v dpkg-query >/dev/null; then kind=deb; fi
echo "hybrid-images-system|$id|$version|$kind|."

# Name, version, architecture, source, its version and, of RPM's, the licence: a line each.
installed() {
  if [ $kind = deb ]; then
    dpkg-query --show --showformat \
      '${db:Status-Abbrev}|${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}|\n' |
      sed -n 's/^.i *|//p'
  else
    # The keys that packages are checked with are kept as packages, too.
    rpm -qa --queryformat \
      '%{NAME}|%{EPOCH}:%{VERSION}-%{RELEASE}|%{ARCH}|%{SOURCERPM}||%{LICENSE}\n' |
      sed -e '/^gpg-pubkey|/d' -e 's/^\([^|]*|\)(none):/\1/'
  fi
}

installed | sort | awk -F '|' '
# Debian says it in the package: the names of licences in a copyright file that is made to be read by programs.
function debian_licences(name,    file, line, number, text, seen) {
  file = "/usr/share/doc/" name "/copyright"
  text = ""
  number = 0
  while ((getline line < file) > 0) {
    if (++number == 1 && line !~ /^Format/) break
    if (line !~ /^License: */) continue
    sub(/^License: */, "", line)
    sub(/[ \t\r]+$/, "", line)
    if (line == "" || line in seen) continue
    seen[line] = 1
    text = text (text == "" ? "" : ";") line
  }
  close(file)
  return text
}
{
  printf "hybrid-images-package|%s|%s|%s|%s|%s|.\n", $1, $2, $3, $4, $5
  text = $6 == "" ? debian_licences($1) : $6
  gsub(/[|]/, "/", text)
  for (; text != ""; text = substr(text, 101))
    printf "hybrid-images-licence|%s|%s|.\n", $1, substr(text, 1, 100)
}
END { printf "hybrid-images-packages|%d|.\n", NR }'
