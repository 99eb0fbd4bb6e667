/**
 * The programs of this machine that the work needs, and how to get those that are missing.
 *
 * As root on a machine with apt or pkgin they are installed, after saying which and why; otherwise the
 * error holds the one command that does. Nothing is removed or upgraded.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $ } from '../cli/run.ts'
import { session, stopSignal } from '../cli/session.ts'
import { shellCommand } from '../cli/shell-words.ts'

export type Tool = {
  /** A program's name, or the absolute path of a file. */
  name: string
  /** Debian package that holds it. */
  apt: string
  /** Package of pkgsrc that holds it; undefined: not needed on SmartOS, or a part of it. */
  pkgsrc?: string
  /** What it is needed for, in a few words. */
  why: string
  /** Work goes on without it, only slower: never an error. */
  optional?: true
}

export const tool = (name: string, apt: string, why: string, pkgsrc?: string): Tool => ({
  ...{ name, apt, why },
  ...(pkgsrc !== undefined && { pkgsrc }),
})

export const TOOLS = {
  mmdebstrap: tool('mmdebstrap', 'mmdebstrap', 'installs packages into a directory'),
  mount: tool('mount', 'mount', 'gives packages their /proc while they are installed'),
  aptFtparchive: tool('apt-ftparchive', 'apt-utils', 'makes an index of the packages'),
  qemuImg: tool('qemu-img', 'qemu-utils', 'finds the parts of a disk that hold data'),
  sfdisk: tool('sfdisk', 'fdisk', 'writes the partition table'),
  mkfsExt4: tool('mkfs.ext4', 'e2fsprogs', 'makes the root file system'),
  debugfs: tool('debugfs', 'e2fsprogs', "dates the root file system's files"),
  mkfsVfat: tool('mkfs.vfat', 'dosfstools', 'makes the EFI system partition'),
  mcopy: tool('mcopy', 'mtools', 'fills the EFI system partition'),
  zstd: tool('zstd', 'zstd', 'packs what is kept for the next build', 'zstd'),
  newuidmap: tool('newuidmap', 'uidmap', 'lets a user who is not root build in a name space'),
  libdeflateGzip: {
    ...tool(
      'libdeflate-gzip',
      'libdeflate-tools',
      'compresses the image, many times faster than gzip',
      'libdeflate',
    ),
    optional: true,
  },
} as const satisfies Record<string, Tool>

/** What a virtual machine needs, and a conversation with its guest. */
export const MACHINE_TOOLS = {
  qemu: tool('qemu-system-x86_64', 'qemu-system-x86', 'runs virtual machines'),
  qemuImg: TOOLS.qemuImg,
  seabios: tool(
    '/usr/share/seabios/bios-256k.bin',
    'seabios',
    'is the BIOS firmware of virtual machines',
  ),
  ssh: tool('ssh', 'openssh-client', 'logs in at the guest'),
  sshKeygen: tool('ssh-keygen', 'openssh-client', 'makes keys for the guest'),
  timeout: tool('timeout', 'coreutils', 'limits the trial of KVM'),
  setpriv: tool('setpriv', 'util-linux', 'ends machines together with this program'),
} as const satisfies Record<string, Tool>

/** What getting at an installer needs. */
export const INSTALLER_TOOLS = {
  curl: tool('curl', 'curl', 'fetches media', 'curl'),
  xorriso: tool('xorriso', 'xorriso', 'reads installation media', 'xorriso'),
  cpio: tool('cpio', 'cpio', "adds answers to an installer's initrd"),
  xz: tool('xz', 'xz-utils', 'unpacks cloud images', 'xz'),
} as const satisfies Record<string, Tool>

/** Debian keeps these out of an ordinary user's $PATH. */
const SYSTEM_DIRS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** pkgsrc's programs on SmartOS. */
const PKGSRC_DIRS = ['/opt/local/sbin', '/opt/local/bin']

/** Make the system's own programs findable, also by those that we start. */
export function extendPath(env: NodeJS.ProcessEnv = process.env): void {
  const present = (env['PATH'] ?? '').split(delimiter).filter(Boolean)
  const dirs = process.platform === 'sunos' ? [...SYSTEM_DIRS, ...PKGSRC_DIRS] : SYSTEM_DIRS
  const lacking = dirs.filter((dir) => !present.includes(dir))
  env['PATH'] = [...present, ...lacking].join(delimiter)
}

/** Where a program is, or undefined. */
export function findTool(name: string, path = process.env['PATH'] ?? ''): string | undefined {
  const program = !name.startsWith('/')
  return (program ? path.split(delimiter).map((dir) => join(dir, name)) : [name]).find((file) => {
    try {
      accessSync(file, program ? constants.X_OK : constants.R_OK)
      return true
    } catch {
      return false
    }
  })
}

/** The apt command that installs packages, without questions. */
export function aptInstall(packages: readonly string[]): string[] {
  return ['apt-get', 'install', '-y', '--no-install-recommends', ...packages]
}

/** The pkgin command that installs packages, without questions. */
export function pkginInstall(packages: readonly string[]): string[] {
  return ['pkgin', '-y', 'install', ...packages]
}

export type Ensure = {
  /** May packages be installed (--no-install says no)? */
  install: boolean
  root?: boolean
  find?: (name: string) => string | undefined
}

/** How a system gets packages. */
type Manager = {
  program: string
  packageOf: (tool: Tool) => string | undefined
  command: (packages: readonly string[]) => string[]
  /** Installs them. */
  install: (packages: readonly string[]) => Promise<void>
}

/** That another apt may be at work, in seconds. */
const LOCK_SECONDS = 300

const apt: Manager = {
  program: 'apt-get',
  packageOf: (tool) => tool.apt,
  command: aptInstall,
  async install(packages) {
    // Another apt may be at work, as unattended-upgrades is after a machine starts: wait for it.
    const quiet = $({ env: { DEBIAN_FRONTEND: 'noninteractive' } })
    const command = [...aptInstall(packages), '-o', `DPkg::Lock::Timeout=${LOCK_SECONDS}`]
    // A new machine has no package lists, and old lists name packages that are gone.
    await whenUnlocked(() => quiet`apt-get update`)
    await quiet`${command}`
  },
}

/** apt waits for dpkg's lock when it is told to; for that of its lists it never does. */
async function whenUnlocked(update: () => Promise<unknown>): Promise<void> {
  for (let waited = 0; ; waited += 1) {
    try {
      await update()
      return
    } catch (error) {
      const locked = error instanceof BuildError && /Could not get lock/.test(error.message)
      if (!locked || waited === LOCK_SECONDS) throw error
    }
    if (waited === 0) log.info('Waiting for another apt, which has locked the package lists')
    await delay(1000, undefined, { signal: stopSignal() })
  }
}

const pkgin: Manager = {
  program: 'pkgin',
  packageOf: ({ pkgsrc }) => pkgsrc,
  command: pkginInstall,
  async install(packages) {
    await $`pkgin -y update`
    await $`${pkginInstall(packages)}`
  },
}

/**
 * See to it that tools are there, installing what is missing when root.
 *
 * @throws {HostError} when something needed is missing and can't be installed from here
 */
export async function ensureTools(tools: readonly Tool[], ensure: Ensure): Promise<void> {
  const { install, root = process.getuid?.() === 0, find = findTool } = ensure
  extendPath()
  const found = [apt, pkgin].find(({ program }) => find(program) !== undefined)
  const manager = found ?? apt
  const packagesOf = (some: readonly Tool[]) => [
    ...new Set(some.flatMap((one) => manager.packageOf(one) ?? [])),
  ]
  const isMissing = (one: Tool) =>
    manager.packageOf(one) !== undefined && find(one.name) === undefined
  const missing = tools.filter(isMissing)
  if (missing.length === 0) return
  if (session.dryRun || (install && root && found)) {
    log.info('Installing host packages:')
    for (const one of missing) log.info(`  ${manager.packageOf(one)} (${one.name}): ${one.why}`)
    await manager.install(packagesOf(missing))
    if (session.dryRun) return
  }
  const left = tools.filter(isMissing)
  if (left.some(({ optional }) => !optional)) {
    const list = left.map(({ name, why }) => `${name} (${why})`).join(', ')
    const command = shellCommand({ words: manager.command(packagesOf(left)) })
    throw new HostError(`This machine lacks ${list}`, {
      hint: found
        ? `Run: ${root ? '' : found === pkgin ? 'pfexec ' : 'sudo '}${command}`
        : `Install them; on Debian and Ubuntu: ${command}`,
    })
  }
  for (const one of left) {
    log.warn(`${one.name} is missing (package ${manager.packageOf(one)}): it ${one.why}`)
  }
}
