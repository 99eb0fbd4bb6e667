#!/bin/sh
# Makes the system it runs in a golden image for libvirt. Called in the last stage of every method.
#
# Environment: GUEST_TOOLS (where this folder's files are), and the target's variables, each as VAR_<NAME>.
set -eu

# --- A template becomes a file: place, words between @ by their values. The variables have none of the
# letters that would mean something to sed.
put() { # mode, template, place
  install -d "$(dirname "$3")"
  sed -e "s|@ADMIN_USER@|$VAR_ADMIN_USER|" \
    -e "s|@ADMIN_DESCRIPTION@|'$VAR_ADMIN_DESCRIPTION'|" \
    -e "s|@NO_RULE@|$no_rule|" \
    -e "s|@SSH_KEY_TYPES@|$VAR_SSH_KEY_TYPES|" \
    -e "s|@INTERFACE@|$VAR_INTERFACE|" \
    -e "s|@ROUTE_METRIC@|$VAR_ROUTE_METRIC|" \
    -e "s|@AUTOMATIC_REBOOT@|$(flag "$VAR_AUTOMATIC_REBOOT")|" \
    -e "s|@REBOOT_TIME@|$VAR_REBOOT_TIME|" \
    -e "s|@REBOOT_WITH_USERS@|$(flag "$VAR_REBOOT_WITH_USERS")|" \
    "$GUEST_TOOLS/$2" >"$3"
  chmod "$1" "$3"
}
flag() { if [ "$1" = yes ]; then echo true; else echo false; fi; }
# "No rule" has been written in two ways; what one version takes, the other warns of or fails at.
case $(cloud-init --version 2>&1) in
*' '2[01].* | *' '22.1*) no_rule=false ;;
*) no_rule=null ;;
esac

# --- Who administrates, and what that means. The groups are there before cloud-init makes the user.
for group in adm sudo sudonp; do
  getent group "$group" >/dev/null || groupadd --system "$group"
done
put 440 sudonp /etc/sudoers.d/50-sudonp
put 644 90_libvirt.cfg /etc/cloud/cloud.cfg.d/90_libvirt.cfg

# --- Network and names by systemd alone.
put 644 first-interface.network /etc/systemd/network/50-first-interface.network
put 644 resolved.conf /etc/systemd/resolved.conf.d/50-hybrid-image.conf
if [ "$VAR_CLOUD_INIT_NETWORK" = yes ]; then
  rm /etc/systemd/network/50-first-interface.network
  sed -i '/^network:/,/^$/d' /etc/cloud/cloud.cfg.d/90_libvirt.cfg
fi

# --- Updates. The name sorts behind 50unattended-upgrades and 20auto-upgrades, so that this has the last word.
put 644 unattended-upgrades.conf /etc/apt/apt.conf.d/60-hybrid-image-upgrades

# --- Host keys of the wanted kinds, and no others.
types=$(echo "$VAR_SSH_KEY_TYPES" | tr , ' ')
for type in $types; do
  echo "HostKey /etc/ssh/ssh_host_${type}_key"
done >/etc/ssh/sshd_config.d/20-host-keys.conf
cat >/usr/local/sbin/make-host-keys <<KEYS
#!/bin/sh
# What cloud-init did not make: an instance without a seed needs host keys as well.
for type in $types; do
  key=/etc/ssh/ssh_host_\${type}_key
  [ -e "\$key" ] || ssh-keygen -q -t "\$type" -N '' -f "\$key"
done
KEYS
chmod 755 /usr/local/sbin/make-host-keys
sed -i 's|^ExecStartPre=/usr/bin/ssh-keygen -A$|ExecStartPre=/usr/local/sbin/make-host-keys|' \
  /etc/systemd/system/ssh.service.d/host-keys.conf
grep -q make-host-keys /etc/systemd/system/ssh.service.d/host-keys.conf

# --- New repositories, that of /etc among them, begin with this branch.
if command -v git >/dev/null; then git config --system init.defaultBranch "$VAR_ETCKEEPER_BRANCH"; fi

# --- The operator's own commands.
[ -z "$VAR_RUN_COMMANDS" ] || sh -c "$VAR_RUN_COMMANDS"
