/**
 * Checks of the system that the image holds, whichever instance it is: that it works, and that nothing
 * of the build is in it. The questions hold for any Linux with systemd; where distributions differ,
 * they look.
 */
import { bad, type Check, FIRST_BOOTS, lines, nothing, ok, SINCE_BOOT, verdict } from './check.ts'

export const systemChecks: readonly Check[] = [
  {
    name: 'swap',
    title: 'no swap',
    ask: `swapon --show --noheadings; awk '$1 !~ /^#/ && $3 == "swap"' /etc/fstab`,
    judge: nothing('none in use, none in /etc/fstab'),
  },
  {
    name: 'package-sources',
    title: 'package sources are those of this release, and nothing local',
    ask: `. /etc/os-release; echo "release \${VERSION_CODENAME:-$VERSION_ID}"
      if command -v apt-get >/dev/null; then apt-get update --print-uris | sed -n "s,^'\\(.*\\)/dists/\\([^/]*\\)/.*,source \\1 \\2,p" | sort -u
      elif command -v dnf >/dev/null; then dnf -C repolist -v 2>/dev/null | sed -n 's/^Repo-\\(baseurl\\|mirrors\\|metalink\\) *: */source /p'; fi
      grep -rhs '^ *deb.*\\(cdrom\\|file\\|copy\\):' /etc/apt/sources.list /etc/apt/sources.list.d | sed 's/^/local /'`,
    boots: FIRST_BOOTS,
    judge(said) {
      const release = /^release (.+)$/m.exec(said)?.[1] ?? ''
      const sources = [...said.matchAll(/^source (\S+)(?: (\S+))?$/gm)]
      const local = [...said.matchAll(/^local (.+)$/gm)].map(([, line]) => line!)
      if (local.length > 0) return bad(`local: ${local.join('; ')}`)
      if (sources.length === 0) return bad('there are none')
      const wrong = sources.filter(([, site = '', suite]) => {
        return (
          isPrivate(site) ||
          (suite !== undefined && suite !== release && !suite.startsWith(`${release}-`))
        )
      })
      const text = (found: RegExpMatchArray[]) =>
        found.map(([, ...words]) => words.filter(Boolean).join(' ')).join('; ')
      return wrong.length > 0 ? bad(`not of ${release}: ${text(wrong)}`) : ok(text(sources))
    },
  },
  {
    name: 'sudo',
    title: 'sudo works for a user who may, and no longer when that is taken away',
    ask: `useradd --create-home tester && echo 'tester ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/tester
      su tester -c 'sudo -n id -u'; rm /etc/sudoers.d/tester
      su tester -c 'sudo -n id -u' 2>/dev/null || echo refused; userdel --remove tester 2>/dev/null`,
    boots: ['first boot'],
    judge(said) {
      const found = lines(said)
      return verdict(found[0] === '0' && found.at(-1) === 'refused', found.join(', then '))
    },
  },
  {
    name: 'boot-menu-renewed',
    title: 'boot menu can be made anew, as a kernel update does',
    ask: `if command -v update-grub >/dev/null; then update-grub 2>&1 | tail -n 1; else grub2-mkconfig -o /boot/grub2/grub.cfg 2>&1 | tail -n 1; fi
      for file in /boot/grub/grub.cfg /boot/grub2/grub.cfg; do [ -e $file ] && grep -c 'linux.*console=ttyS0' $file; done`,
    boots: ['first boot'],
    judge: (said) =>
      verdict(
        /^[1-9]\d*$/m.test(said),
        lines(said).join('; ') || 'no entry has the serial console',
      ),
  },
  {
    name: 'trim',
    title: 'freed blocks are given back: fstrim.timer',
    ask: 'systemctl is-active fstrim.timer',
    boots: ['first boot'],
    judge: (said) => verdict(said.trim() === 'active', said.trim()),
  },
  {
    name: 'units',
    title: 'no failed unit',
    ask: 'systemctl list-units --failed --plain --no-legend',
    judge: nothing('systemctl --failed is empty'),
  },
  {
    name: 'cloud-init',
    title: 'cloud-init finished without an error',
    ask: 'command -v cloud-init >/dev/null && cloud-init status --long',
    judge(said) {
      const status = /^status: (.+)$/m.exec(said)?.[1]
      const detail = /^(?:detail|errors):\s*\n?(.+)$/m.exec(said)?.[1] ?? ''
      return verdict(status === 'done', `${status ?? 'no status'}, ${detail}`)
    },
  },
  {
    name: 'passwords',
    title: 'no account has a password that the image brought',
    // Locked fields start with ! or *; anything else lets somebody in, an empty one everybody.
    ask: `awk -F : '$2 !~ /^[!*]/ { print $1 }' /etc/shadow`,
    boots: ['first boot', 'reboot'],
    judge(said) {
      const found = lines(said)
      return found.length === 0
        ? ok('all are locked')
        : bad(`can log in by password: ${found.join(', ')}`)
    },
  },
  {
    name: 'banner',
    title: 'message of the day names image and version',
    ask: 'cat /etc/motd /run/motd.dynamic 2>/dev/null',
    judge(said, { image }) {
      const found = lines(said).find(
        (line) => line.includes(image.name) && line.includes(image.version),
      )
      return verdict(
        found !== undefined,
        found ?? `no "${image.name}" with "${image.version}" in /etc/motd`,
      )
    },
  },
  {
    name: 'logs',
    title: 'no logs from before the first boot',
    ask: `${SINCE_BOOT}; find /var/log -type f -size +0 ! -newermt "@$boot"`,
    boots: FIRST_BOOTS,
    judge: nothing('all are newer than the boot'),
  },
  {
    name: 'build-leftovers',
    title: 'nothing of the build: proxies, histories, caches, temporary files',
    ask: `grep -rIils 'http_proxy\\|https_proxy\\|Acquire::.*Proxy' /etc/environment /etc/environment.d /etc/profile.d /etc/apt /etc/wgetrc /etc/systemd/system /etc/systemd/system.conf.d
      grep -ls '^proxy' /etc/dnf/dnf.conf /etc/yum.conf
      ls -d /root/.bash_history /root/.wget-hsts /root/anaconda-ks.cfg /root/original-ks.cfg /var/tmp/hybrid-images /etc/apt/apt.conf.d/99mmdebstrap 2>/dev/null
      find /var/cache/apt/archives -name '*.deb' 2>/dev/null | head -n 3
      find /var/lib/cloud/instances -mindepth 1 -maxdepth 1 ! -name "$(mdata-get sdc:uuid)" 2>/dev/null
      grep -l 'ds=nocloud' /boot/grub/grub.cfg /boot/grub2/grub.cfg /etc/default/grub /etc/default/grub.d/* 2>/dev/null`,
    boots: FIRST_BOOTS,
    judge: nothing('none found'),
  },
  {
    name: 'ownership',
    title: 'system files belong to the system, /root is closed, root has no crontab',
    ask: `find /etc /var /root -xdev ! -uid 0 -uid +999 ! -uid 65534 | head -n 5
      [ "$(stat -c %a /root)" = 700 ] || [ "$(stat -c %a /root)" = 550 ] || stat -c '%n has mode %a' /root
      ls /var/spool/cron/root /var/spool/cron/crontabs/root 2>/dev/null`,
    boots: ['first boot'],
    judge: nothing('no file of an ordinary user in /etc and /var'),
  },
]

/** An address that only the build could reach. */
function isPrivate(site: string): boolean {
  const host = /^[a-z+]+:\/\/([^/:]+)/.exec(site)?.[1] ?? site
  return (
    /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host) ||
    /:\d+/.test(site.replace(/^[a-z+]+:\/\//, ''))
  )
}
