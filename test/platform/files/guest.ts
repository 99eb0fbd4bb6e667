/**
 * A virtual machine that runs a historic SmartOS with our files in it, on the stand-ins of smartos.sh: its
 * root file system is a directory that each boot makes anew, its disks outlive the boots.
 */
import { spawn } from 'node:child_process'
import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const files = fileURLToPath(new URL('../../../platform/files', import.meta.url))
const standIns = fileURLToPath(new URL('smartos.sh', import.meta.url))

const PROGRAMS =
  'bootparams prtconf devfsadm disklist fstyp mount umount zpool zfs reboot dladm ifconfig routeadm ' +
  'svcs svcadm vmadm imgadm pgrep zonename ntpd cpio stock-boot net-physical power-off'

/** Programs that are the same everywhere, and stand-ins only for the power to go before them. */
const ORDINARY = 'cp mv touch sync rmdir tar gzip mkdir chmod rm cat sed'

/** Disks are in the order of their names, as disklist has them. */
export const BOOT_DISK = 'c0t0d0'
export const DATA_DISK = 'c1t0d0'

export const NICS = [
  {
    interface: 'net0',
    mac: '90:b8:d0:01:02:03',
    nic_tag: 'external',
    primary: true,
    ips: ['10.1.2.3/24', '10.1.2.4/24'],
    ip: '10.1.2.3',
    netmask: '255.255.255.0',
    gateway: '10.1.2.1',
    mtu: 1500,
  },
]

export const METADATA: Readonly<Record<string, string>> = {
  'sdc:nics': JSON.stringify(NICS),
  'sdc:resolvers': '["8.8.8.8","8.8.4.4"]',
  'sdc:hostname': 'oldskool',
  'sdc:uuid': '1a2b3c4d-7e57-4ade-a117-0123456789ab',
  root_authorized_keys: 'ssh-rsa AAAA one@example\nssh-rsa BBBB two@example\n',
}

/** What one boot did. */
export type Boot = {
  /** Exit status of retro-setup; undefined when it was killed, by a reboot or a power cut. */
  status: number | undefined
  rebooting: boolean
  console: string
  ttya: string
  /** What went into the service's log. */
  log: string
  /** The same of retro-network, where the boot came to that. */
  network: number | undefined
}

export type Environment = Readonly<Record<string, string>>

export class Guest {
  readonly root: string
  readonly state: string

  private constructor(dir: string) {
    this.root = join(dir, 'root')
    this.state = join(dir, 'state')
  }

  /** A new machine: a boot disk, an empty data disk of 20 GiB, 2 GiB of memory, one NIC. */
  static async make(dir: string): Promise<Guest> {
    const guest = new Guest(dir)
    await mkdir(join(guest.state, 'run'), { recursive: true })
    await mkdir(join(guest.state, 'metadata'))
    await mkdir(join(guest.state, 'zones'))
    await guest.addDisk(BOOT_DISK, { 'fat/.smartos-retro': '' })
    await guest.addDisk(DATA_DISK, { bytes: String(20 * 1024 ** 3) })
    await guest.write('memory', '2048')
    await guest.write('bootparams', 'console=ttya\nsmartos=true\nstandalone=true\n')
    await guest.write('nics', 'e1000g0 90:b8:d0:1:2:3\n')
    for (const [key, value] of Object.entries(METADATA)) await guest.setMetadata(key, value)
    await guest.#makeRoot()
    return guest
  }

  async addDisk(name: string, content: Readonly<Record<string, string>> = {}): Promise<void> {
    const disk = join(this.state, 'disks', name)
    await mkdir(join(disk, 'fat'), { recursive: true })
    if (!Object.keys(content).some((path) => path.startsWith('fat/')))
      await rm(join(disk, 'fat'), { recursive: true })
    for (const [path, text] of Object.entries(content)) {
      await mkdir(join(disk, path, '..'), { recursive: true })
      await writeFile(join(disk, path), text)
    }
  }

  removeDisk(name: string): Promise<void> {
    return rm(join(this.state, 'disks', name), { recursive: true })
  }

  /** A file of the state. */
  write(path: string, text: string): Promise<void> {
    return writeFile(join(this.state, path), text)
  }

  async setMetadata(key: string, value: string | undefined): Promise<void> {
    const path = join(this.state, 'metadata', key)
    if (value === undefined) await rm(path, { force: true })
    else await writeFile(path, value)
  }

  /** A file of the running system; empty where there is none. */
  read(path: string): Promise<string> {
    return readFile(join(this.root, path), 'utf8').catch(() => '')
  }

  readState(path: string): Promise<string> {
    return readFile(join(this.state, path), 'utf8').catch(() => '')
  }

  /** Commands of the stand-ins since the machine was made, those that begin so. */
  async called(beginning: string): Promise<string[]> {
    return (await this.readState('log')).split('\n').filter((line) => line.startsWith(beginning))
  }

  /** The platform's root file system as the archive has it, with our files in it as the builder puts them. */
  async #makeRoot(): Promise<void> {
    const { root } = this
    await rm(root, { recursive: true, force: true })
    for (const dir of 'dev/term etc/ipf etc/ssh etc/svc/volatile etc/zones opt root var/log var/svc/log usr/sbin'.split(
      ' ',
    )) {
      await mkdir(join(root, dir), { recursive: true })
    }
    await cp(files, root, { recursive: true })
    await writeFile(join(root, 'etc/shadow'), 'root:NP:6445::::::\ndaemon:NP:6445::::::\n')
    await chmod(join(root, 'etc/shadow'), 0o400)
    await writeFile(join(root, 'etc/ssh/sshd_config'), 'PasswordAuthentication no\n')
    await writeFile(join(root, 'etc/zones/index'), 'global:installed:/\n')
    await writeFile(join(root, 'etc/ipf/ipf.conf'), '# the platform’s\n')
    await writeFile(join(root, 'etc/resolv.conf'), 'nameserver 8.8.8.8\n')
    await writeFile(join(root, 'var/log/kept'), 'of the archive\n')
    for (const name of ['dev/console', 'dev/ttya']) await writeFile(join(root, name), '')
    const names = `${PROGRAMS}${this.everyProgram ? ` ${ORDINARY}` : ''}`.split(' ')
    for (const name of names) await symlink(standIns, join(root, 'usr/sbin', name))
    for (const name of ['mdata-get', 'mdata-list']) {
      await writeFile(join(root, 'usr/sbin', name), 'the platform’s\n')
    }
    for (const name of ['mdata-get', 'mdata-put', 'mdata-delete', 'mdata-list']) {
      await symlink('mdata', join(root, 'smartdc/retro', name))
    }
    if (this.realMetadata) return
    // Unless a test wants the real client, metadata is files.
    await rm(join(root, 'smartdc/retro/mdata-get'))
    await writeFile(
      join(root, 'smartdc/retro/mdata-get'),
      `#!/bin/sh\n[ -z "\${GUEST_NO_METADATA:-}" ] || { echo 'Cannot reach the metadata service' >&2; exit 10; }\n` +
        `[ -f "${this.state}/metadata/$1" ] || { echo "No metadata for '$1'" >&2; exit 1; }\ncat "${this.state}/metadata/$1"\n`,
      { mode: 0o755 },
    )
  }

  /** From the next boot on, the log has ordinary programs too, and a power cut can come before them. */
  everyProgram = false

  /** Called at each boot, before anything runs. */
  onStart: (() => Promise<void>) | undefined

  /** Use the real metadata client from the next boot on. */
  realMetadata = false

  /** Programs run in a root of their own, without RETRO_ROOT, as on a real machine: only root can do that. */
  chroot = false

  /** Words that run a program of the guest, and the prefix that it has for its paths. */
  #command(program: string): { words: string[]; prefix: string } {
    if (!this.chroot) return { words: [join(this.root, program)], prefix: this.root }
    // The directories of this machine that the stand-ins need, at their own places; the name space is private.
    // Its own /lib is SmartOS': of this machine's there is only what the loader asks for.
    const libraries = ['/usr/lib', '/usr/lib64', '/usr/share', '/lib/x86_64-linux-gnu']
    const binds = ['/usr/bin', ...libraries, this.state, dirname(standIns)]
    const steps = [
      'set -e; cd "$0"; mkdir -p tmp; : >dev/null; : >dev/urandom',
      'for name in bin lib64; do ln -sfn usr/$name $name; done',
      ...binds.map(
        (dir) => `[ ! -d ${dir} ] || { mkdir -p .${dir} && mount --bind ${dir} .${dir}; }`,
      ),
      ...['/dev/null', '/dev/urandom'].map((file) => `mount --bind ${file} .${file}`),
      'exec chroot . "$@"',
    ]
    const words = ['unshare', '--mount', 'sh', '-c', steps.join('\n'), this.root, `/${program}`]
    return { words, prefix: '' }
  }

  /** Run a program of the guest; its processes are a group, which a power cut kills. */
  run(
    program: string,
    args: string[] = [],
    env: Environment = {},
  ): Promise<{ status: number | undefined; stdout: string; stderr: string }> {
    const { words, prefix } = this.#command(program)
    return new Promise((done, fail) => {
      const child = spawn(words[0]!, [...words.slice(1), ...args], {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: '/usr/bin:/bin:/usr/sbin',
          RETRO_ROOT: prefix,
          GUEST_STATE: this.state,
          ...env,
        },
      })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', (data) => (stdout += data))
      child.stderr.on('data', (data) => (stderr += data))
      child.on('error', fail)
      child.on('close', (status) => done({ status: status ?? undefined, stdout, stderr }))
    })
  }

  /** Switch it on, until all our services have run. */
  async boot(env: Environment = {}): Promise<Boot> {
    if (await this.readState('run/mounts')) await this.run('usr/sbin/power-off')
    await rm(join(this.state, 'run'), { recursive: true })
    await mkdir(join(this.state, 'run'))
    await this.#makeRoot()
    await this.onStart?.()
    const stock = await this.run('usr/sbin/stock-boot')
    if (stock.status !== 0) throw new Error(`The platform does not boot: ${stock.stderr}`)
    const setup = await this.run('lib/svc/method/retro-setup', ['start'], env)
    const rebooting = (await this.readState('run/rebooting')) !== ''
    let network: number | undefined
    let log = setup.stdout + setup.stderr
    if (setup.status === 0 && !(await this.readState('bootparams')).includes('noimport=true')) {
      const physical = await this.run('usr/sbin/net-physical')
      if (physical.status !== 0) throw new Error(`The platform has no network: ${physical.stderr}`)
      const ran = await this.run('lib/svc/method/retro-network', ['start'], env)
      network = ran.status
      log += ran.stdout + ran.stderr
    }
    return {
      status: setup.status,
      rebooting,
      log,
      network,
      console: await this.read('dev/console'),
      ttya: await this.read('dev/ttya'),
    }
  }

  /** First boot, and the one that it asks for. */
  async setUp(): Promise<Boot> {
    const first = await this.boot()
    if (!first.rebooting) throw new Error(`First boot failed: ${first.console}${first.log}`)
    return this.boot()
  }
}
