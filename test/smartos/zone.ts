/**
 * The inside of a SmartOS zone for tests, by the stand-ins of zone.sh. Commands run in a name space of mounts
 * where /opt, /run, /dev and /etc/resolv.conf are the zone's own, so that the product's paths are the real ones.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const program = fileURLToPath(new URL('zone.sh', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

export const ZONE = '3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f'

const CALLED_AS =
  'dladm ifconfig ipf ipnat routeadm svcs svcadm svccfg mdata-get zonename uname profiles reboot mkdir mv rm rmdir tee'

/** $1 has the zone's directories, what follows is the command. What the machine has in /opt stays there. */
const ENTER = `
zone=$1 && shift
/bin/mkdir -p "$zone/dev-now" "$zone/opt-now"
mount -t tmpfs zone "$zone/dev-now" && cp -a "$zone/dev/." "$zone/dev-now/"
for one in null zero random urandom; do
  : >"$zone/dev-now/$one" && mount --bind "/dev/$one" "$zone/dev-now/$one"
done
mount -t tmpfs zone "$zone/opt-now"
for one in /opt/*; do
  [ -d "$one" ] || continue
  /bin/mkdir "$zone/opt-now/\${one##*/}" && mount --rbind "$one" "$zone/opt-now/\${one##*/}"
done
for one in hybrid-images local; do
  /bin/mkdir -p "$zone/opt/$one" "$zone/opt-now/$one" && mount --bind "$zone/opt/$one" "$zone/opt-now/$one"
done
mount --rbind "$zone/opt-now" /opt && mount --rbind "$zone/dev-now" /dev &&
mount --bind "$zone/run" /run && mount --bind "$zone/resolv.conf" /etc/resolv.conf || exit 98
exec "$@"
`

export type Outcome = { status: number | null; stdout: string; stderr: string; did: string[] }

export type Zone = {
  dir: string
  /** A command of bin/; `cut` is how a call begins that the power fails at. */
  run: (name: string, words: string[], cut?: string) => Promise<Outcome>
  /** A program or script in the zone that goes on. */
  start: (words: string[]) => ChildProcess
  reboot: () => Promise<void>
  /** A file of the stand-ins' state, or undefined. */
  read: (name: string) => Promise<string | undefined>
  write: (name: string, text: string) => Promise<void>
  links: () => Promise<string[]>
}

/** Calls that change nothing. */
const ASKS =
  /^(zonename|uname|profiles|mdata-get|svcs)|^dladm show|^ifconfig (-a|dhcp0)$|^(ipnat -l|ipf -V|routeadm -p)/

export async function inZone(use: (zone: Zone) => Promise<void>): Promise<void> {
  await inTemporaryDir(async (dir) => {
    const bin = join(dir, 'bin')
    const state = join(dir, 'state')
    for (const name of [
      'bin',
      'dev',
      'run',
      'opt/local/sbin',
      'opt/hybrid-images',
      'state/links',
      'state/busy',
      'state/plumbed',
      'state/forwarding',
      'state/services/network/ipfilter',
    ]) {
      await mkdir(join(dir, name), { recursive: true })
    }
    for (const name of CALLED_AS.split(' ')) await symlink(program, join(bin, name))
    await symlink(process.execPath, join(bin, 'node'))
    await symlink(program, join(dir, 'opt/local/sbin/dhcpd'))
    const write = (name: string, text: string) => writeFile(join(dir, name), text)
    await write('dev/viona', '')
    await write('resolv.conf', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n')
    await write('state/log', '')
    await write('state/rules', '')
    await write('state/zone', `${ZONE}\n`)
    await write(
      'state/nics',
      '[{"interface":"net0","mac":"90:b8:d0:11:22:33","allow_ip_spoofing":true}]\n',
    )
    await write('state/links/net0', 'vnic ? 90:b8:d0:11:22:33\n')
    await write('state/plumbed/net0', '192.168.1.20 255.255.255.0\n')
    await write('state/plumbed/lo0', '127.0.0.1 255.0.0.0\n')
    await write('state/services/network/ipfilter/state', 'disabled\n')

    const read = async (name: string) => {
      const path = join(dir, name)
      return existsSync(path) ? (await readFile(path, 'utf8')).trim() : undefined
    }
    const env = (cut = '') => ({
      ...process.env,
      PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
      SMARTOS_STATE: state,
      SMARTOS_CUT: cut,
    })
    const enter = (words: string[]) => ['-m', 'sh', '-c', ENTER, 'enter', dir, ...words]
    const inside = (words: string[], cut?: string) =>
      spawnSync('/usr/bin/unshare', enter(words), { env: env(cut), encoding: 'utf8' })
    const run = async (name: string, words: string[], cut?: string) => {
      await write('state/log', '')
      const { status, stdout, stderr } = inside([join(root, 'bin', name), ...words], cut)
      const log = (await readFile(join(state, 'log'), 'utf8')).trim().split('\n')
      return { status, stdout, stderr, did: log.filter((line) => line !== '' && !ASKS.test(line)) }
    }
    const reboot = async () => {
      const { status, stderr } = inside(['reboot'])
      if (status !== 0) throw new Error(`reboot: ${stderr}`)
    }
    const start = (words: string[]) =>
      spawn('/usr/bin/unshare', enter(words), { env: env(), stdio: ['pipe', 'pipe', 'pipe'] })
    const links = async () => (await readdir(join(state, 'links'))).sort()
    try {
      await use({ dir, run, start, reboot, read, write, links })
    } finally {
      const pid = Number(await read('state/dhcpd'))
      if (pid) {
        try {
          process.kill(pid)
        } catch {
          // it has ended
        }
      }
      await rm(state, { recursive: true, force: true }) // at which a dhcpd that is left ends too
    }
  })
}

/** Let a program of the zone be missing. */
export const without = (zone: Zone, path: string) => rm(join(zone.dir, path))

/** A file of somebody in the zone. */
export async function put(zone: Zone, path: string, text: string): Promise<void> {
  await mkdir(join(zone.dir, path, '..'), { recursive: true })
  await zone.write(path, text)
  await chmod(join(zone.dir, path), 0o644)
}
