/**
 * Checks of what makes a machine this one instance: what its metadata says, what it makes on its first
 * boot, and what its scripts do.
 */
import { createHash } from 'node:crypto'
import {
  bad,
  type Check,
  containsAll,
  FIRST_BOOTS,
  lines,
  ok,
  quoted,
  SINCE_BOOT,
  verdict,
} from './check.ts'
import { LARGE_VALUE, RUNS, USER_DATA } from './instance.ts'

/** MD5 of what mdata-get prints for the large value: with a newline at its end. */
const LARGE_MD5 = createHash('md5').update(`${LARGE_VALUE}\n`).digest('hex')

const GIB = 1024 ** 3
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`

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

/** What a script leaves that adds a line at each run. */
const ranOnce = (said: string) => {
  const times = lines(said).filter((line) => line === 'ran').length
  return verdict(said.trim() === 'ran', `${times} times`)
}

export const instanceChecks: readonly Check[] = [
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
      return containsAll(
        [...new Set(said.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b/g) ?? [])],
        [instance.resolver],
      )
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
    name: 'mdata-tools',
    title: 'mdata-list, -put, -get, -delete: round trip, large values, several at once',
    ask: `export PATH=$PATH:/usr/sbin:/sbin
      say() { echo "$1: $2"; }
      mdata-put test:round 'trip  with spaces'; say put $?
      say get "$(mdata-get test:round)"
      mdata-list | grep -qx test:round; say list $?
      mdata-delete test:round; say delete $?
      mdata-get test:round 2>/dev/null; say gone $?
      mdata-get test:large >/run/mdata.large; say large "$(md5sum </run/mdata.large | cut -d ' ' -f 1)"
      mdata-put test:copy </run/mdata.large; say large-put $?; rm /run/mdata.large
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
    judge: ranOnce,
  },
  {
    name: 'operator-script',
    title: 'sdc:operator-script ran once on this boot',
    ask: `cat ${RUNS.operator}`,
    judge: ranOnce,
  },
  {
    name: 'user-data',
    title: 'user-data delivered',
    ask: 'cat /var/db/mdata-user-data',
    boots: FIRST_BOOTS,
    judge: (said) => verdict(said.trim() === USER_DATA.trim(), `"${said.trim()}"`),
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
