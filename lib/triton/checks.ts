/**
 * What is checked inside a booted image: a question for the guest's shell, and a judgement of what
 * it says. All questions of a boot are asked in one session (guest-script.ts); the judgements are
 * pure functions, so that each can be shown to fail.
 *
 * The questions hold for any Linux with systemd; where distributions differ, they look.
 */
import { createHash } from 'node:crypto'
import type { Instance } from './instance.ts'
import { LARGE_VALUE, RUNS, USER_DATA } from './instance.ts'

/** First boot of an instance, the boot after it, and the first boot of an image made of it. */
export type Boot = 'first boot' | 'reboot' | 'second generation'

export type Seen = {
  boot: Boot
  instance: Instance
  /** Said by the guest on the boot before this one, by name of check. */
  earlier: ReadonlyMap<string, string>
  image: { name: string; version: string; volumeBytes: number }
  diskBytes: number
  dataBytes: number
}

export type Verdict = { ok: boolean; evidence: string }

export type Check = {
  name: string
  title: string
  /** Absent: on each of them. */
  boots?: readonly Boot[]
  /** POSIX shell, run by root. */
  ask: string
  judge: (said: string, seen: Seen) => Verdict
}

const ok = (evidence: string): Verdict => ({ ok: true, evidence })
const bad = (evidence: string): Verdict => ({ ok: false, evidence })
const verdict = (good: boolean, evidence: string): Verdict => ({ ok: good, evidence })

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
const quoted = (values: readonly string[]) => values.map((value) => `"${value}"`).join(', ')
const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`

/** Nothing may be said; what is, is the evidence. */
const nothing =
  (fine: string, limit = 5) =>
  (said: string): Verdict => {
    const found = lines(said)
    const more = found.length > limit ? ` and ${found.length - limit} more` : ''
    return found.length === 0 ? ok(fine) : bad(found.slice(0, limit).join('; ') + more)
  }

/** All of these have to be among the lines. */
function containsAll(found: readonly string[], wanted: readonly string[]): Verdict {
  const missing = wanted.filter((one) => !found.includes(one))
  return verdict(
    missing.length === 0,
    missing.length ? `missing ${quoted(missing)} in ${quoted(found)}` : wanted.join(', '),
  )
}

/** MD5 of what mdata-get prints for the large value: with a newline at its end. */
const LARGE_MD5 = createHash('md5').update(`${LARGE_VALUE}\n`).digest('hex')

const FIRST_BOOTS: readonly Boot[] = ['first boot', 'second generation']
const SINCE_BOOT = `boot=$(awk '$1 == "btime" { print $2 }' /proc/stat)`
const GIB = 1024 ** 3

/** File times are the guest's; a time before the boot is what the image brought along. */
function newerThanBoot(said: string): { boot: number; older: string[]; files: string[] } {
  const [, boot] = /^boot (\d+)$/m.exec(said) ?? []
  const files = [...said.matchAll(/^(\d+) (\/.*)$/gm)]
  return {
    boot: Number(boot),
    files: files.map(([, , path]) => path!),
    older: files.filter(([, time]) => Number(time) < Number(boot)).map(([, , path]) => path!),
  }
}

const fingerprints = (said: string | undefined) =>
  [...(said ?? '').matchAll(/^ssh-\S+ \S+|^ecdsa-\S+ \S+/gm)].map(([key]) => key)

export const checks: readonly Check[] = [
  {
    name: 'host-name',
    title: 'host name from sdc:hostname',
    ask: 'hostname',
    judge: (said, { instance }) =>
      verdict(said.trim() === instance.hostname, `hostname is ${said.trim()}`),
  },
  {
    name: 'address',
    title: 'static address from sdc:nics, and no other',
    ask: 'ip -4 -o address show scope global',
    judge(said, { instance }) {
      const found = [...said.matchAll(/inet (\S+)/g)].map(([, address]) => address!)
      const wanted = `${instance.address}/${instance.prefix}`
      return verdict(found.join() === wanted, `${quoted(found)}, given "${wanted}"`)
    },
  },
  {
    name: 'routes',
    title: 'default route and sdc:routes',
    ask: 'ip -4 route show',
    judge(said, { instance }) {
      const found = lines(said).map((line) => line.split(' ').slice(0, 3).join(' '))
      const wanted = instance.routes.map(({ dst, gateway }) => `${dst} via ${gateway}`)
      return containsAll(found, [`default via ${instance.gateway}`, ...wanted])
    },
  },
  {
    name: 'resolver',
    title: 'name servers from sdc:resolvers',
    ask: 'resolvectl dns 2>/dev/null; grep ^nameserver /etc/resolv.conf',
    judge(said, { instance }) {
      return containsAll([...new Set(said.match(/\d+(\.\d+){3}/g) ?? [])], [instance.resolver])
    },
  },
  {
    name: 'authorized-keys',
    title: 'only the keys of root_authorized_keys',
    ask: `cat $(find /root /home -path '*/.ssh/authorized_keys*' -type f) /dev/null`,
    judge(said, { instance }) {
      const found = lines(said).filter((line) => !line.startsWith('#'))
      // cloud-init puts options in front of keys that are another user's.
      const foreign = found.filter((line) => !instance.keys.some((key) => line.endsWith(key)))
      const missing = instance.keys.filter((key) => !found.some((line) => line.endsWith(key)))
      if (foreign.length > 0) return bad(`also ${quoted(foreign)}`)
      return missing.length > 0 ? bad(`missing ${quoted(missing)}`) : ok(`${found.length} key`)
    },
  },
  {
    name: 'host-keys',
    title: 'SSH host keys made on the first boot, none older',
    ask: `${SINCE_BOOT}; echo "boot $boot"; stat -c '%Y %n' /etc/ssh/ssh_host_*_key; cut -d ' ' -f 1,2 /etc/ssh/ssh_host_*_key.pub`,
    judge(said, { boot, earlier }) {
      const { files, older } = newerThanBoot(said)
      const keys = fingerprints(said)
      const before = fingerprints(earlier.get('host-keys'))
      if (keys.length === 0) return bad('there are none')
      if (boot === 'reboot') {
        return verdict(keys.join() === before.join(), `${keys.length} keys, as before the reboot`)
      }
      const same = keys.filter((key) => before.includes(key))
      if (same.length > 0) return bad(`as in the first generation: ${quoted(same)}`)
      return older.length > 0
        ? bad(`older than the boot: ${older.join(', ')}`)
        : ok(`${files.length} keys, newer than the boot`)
    },
  },
  {
    name: 'machine-id',
    title: 'machine-id made on the first boot',
    ask: `${SINCE_BOOT}; echo "boot $boot"; stat -c '%Y %n' /etc/machine-id; cat /etc/machine-id`,
    judge(said, { boot, earlier }) {
      const id = /^[0-9a-f]{32}$/m.exec(said)?.[0]
      const before = /^[0-9a-f]{32}$/m.exec(earlier.get('machine-id') ?? '')?.[0]
      if (id === undefined) return bad('it is not 32 hexadecimal digits')
      if (boot === 'reboot') return verdict(id === before, `${id}, as before the reboot`)
      if (id === before) return bad(`${id}, as in the first generation`)
      return verdict(
        newerThanBoot(said).older.length === 0,
        `${id}, ${newerThanBoot(said).older.length ? 'older' : 'newer'} than the boot`,
      )
    },
  },
  {
    name: 'host-id',
    title: 'host id from sdc:uuid',
    ask: 'hostid',
    judge: (said, { instance }) =>
      verdict(said.trim() === instance.uuid.slice(0, 8), `hostid is ${said.trim()}`),
  },
  {
    name: 'root-grown',
    title: 'root file system grown to the disk',
    ask: 'df -B1 --output=size / | tail -n 1',
    judge(said, { diskBytes, image }) {
      const bytes = Number(said.trim())
      // Boot partitions, a journal and inode tables take their part.
      const grown = bytes > image.volumeBytes && bytes > diskBytes - 2 * GIB
      return verdict(
        grown,
        `${gib(bytes)} on a disk of ${gib(diskBytes)}, of ${gib(image.volumeBytes)} in the image`,
      )
    },
  },
  {
    name: 'data-disk',
    title: '/data is the whole second disk, ext4',
    ask: `findmnt -b -n -o SOURCE,FSTYPE,SIZE /data; lsblk -d -n -o TYPE "$(findmnt -n -o SOURCE /data)"
      [ -e /data/kept ] && echo kept; findmnt -n /data >/dev/null && : >/data/kept`,
    judge(said, { boot, dataBytes }) {
      const [source, type, size] = lines(said)[0]?.split(/ +/) ?? []
      if (source === undefined || type === undefined) return bad('nothing is mounted there')
      const kind = lines(said)[1]
      const kept = lines(said).includes('kept')
      const evidence = `${source} (${kind}), ${type}, ${gib(Number(size))} of ${gib(dataBytes)}`
      if (kept !== (boot === 'reboot'))
        return bad(`${evidence}; ${kept ? 'not empty' : 'made anew by the reboot'}`)
      return verdict(
        kind === 'disk' && type === 'ext4' && Number(size) > dataBytes * 0.85,
        evidence,
      )
    },
  },
  {
    name: 'swap',
    title: 'no swap',
    ask: `swapon --show --noheadings; awk '$1 !~ /^#/ && $3 == "swap"' /etc/fstab`,
    judge: nothing('none in use, none in /etc/fstab'),
  },
  {
    name: 'mdata-tools',
    title: 'mdata-list, -put, -get, -delete: round trip, large values, several at once',
    ask: `export PATH=$PATH:/usr/sbin:/sbin
      say() { echo "$1: $2"; }
      mdata-put test:round 'trip  with spaces'; say put $?
      say get "$(mdata-get test:round)"
      mdata-list | grep -qx test:round; say list $?
      mdata-delete test:round; say delete $?
      mdata-get test:round 2>/dev/null; say gone $?
      say large "$(mdata-get test:large | md5sum | cut -d ' ' -f 1)"
      mdata-get test:large | mdata-put test:copy; say large-put $?
      mdata-put sdc:uuid no 2>/dev/null; say read-only $?
      for i in 1 2 3; do mdata-get sdc:uuid >/run/mdata.$i & done; wait
      say parallel "$(cat /run/mdata.? | sort -u | wc -l) $(cat /run/mdata.? | wc -l)"; rm /run/mdata.?`,
    judge(said) {
      return containsAll(lines(said), [
        ...['put: 0', 'get: trip  with spaces', 'list: 0', 'delete: 0', 'gone: 1'],
        ...[`large: ${LARGE_MD5}`, 'large-put: 0', 'read-only: 2', 'parallel: 1 3'],
      ])
    },
    boots: ['first boot'],
  },
  {
    name: 'user-script',
    title: 'user-script ran once on this boot',
    ask: `cat ${RUNS.user}`,
    boots: FIRST_BOOTS,
    judge: (said) =>
      verdict(
        said.trim() === 'ran',
        `${lines(said).filter((line) => line === 'ran').length} times`,
      ),
  },
  {
    name: 'operator-script',
    title: 'sdc:operator-script ran once on this boot',
    ask: `cat ${RUNS.operator}`,
    judge: (said) =>
      verdict(
        said.trim() === 'ran',
        `${lines(said).filter((line) => line === 'ran').length} times`,
      ),
  },
  {
    name: 'user-data',
    title: 'user-data delivered',
    ask: 'cat /var/db/mdata-user-data',
    boots: FIRST_BOOTS,
    judge: (said) => verdict(said.trim() === USER_DATA.trim(), `"${said.trim()}"`),
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
  {
    name: 'first-boot-once',
    title: 'first-boot work is not done again',
    ask: `find /var/lib/cloud/instance/sem /var/lib/triton-guest -type f -exec stat -c '%Y %n' {} + 2>/dev/null | sort -k 2
      stat -c '%Y %n' /etc/fstab`,
    boots: ['first boot', 'reboot'],
    judge(said, { boot, earlier }) {
      if (boot === 'first boot') return ok(`${lines(said).length} marks`)
      const before = lines(earlier.get('first-boot-once') ?? '')
      const changed = lines(said).filter((line) => !before.includes(line))
      return changed.length > 0
        ? bad(`changed by the reboot: ${changed.join('; ')}`)
        : ok(`${before.length} marks as before the reboot`)
    },
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
