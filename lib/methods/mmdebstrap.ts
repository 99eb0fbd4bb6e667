/**
 * mmdebstrap's command lines, from a description of what is wanted: one installs packages, one sets up what they
 * make. What it prints is read in mmdebstrap-output.ts.
 *
 * Hooks run on the host with the new root as "$1"; `upload`, `download`, `sync-in`, `sync-out` and `tar-in`
 * are mmdebstrap's own and work in every mode. Source: mmdebstrap(1), HOOKS and EXAMPLES.
 */
import type { Arch, Mirror } from '../../distros/distro.ts'
import { shellWord } from '../cli/shell-words.ts'
import { type Guest, type GuestScript, scriptCommand, STAGING } from './guest.ts'
import { beginLine, endLine, scriptLabel } from './script-failure.ts'

/** root needs no helpers; an ordinary user builds in a user name space (subordinate ids). */
export type Mode = 'root' | 'unshare'

/** What a suite's sources are made of. */
export type Suites = { codename: string; components: readonly string[]; mirror: Mirror }

/** The words of a source in apt's one-line form; none: mmdebstrap's default for the release. */
export function sourceLines({ codename, components, mirror }: Suites): string[] {
  const { main, security, archived } = mirror
  if (main === undefined) return []
  const deb = archived ? 'deb [check-valid-until=no]' : 'deb'
  const line = (url: string, suite: string) => `${deb} ${url} ${suite} ${components.join(' ')}`
  return [
    line(main, codename),
    line(main, `${codename}-updates`),
    ...(security === undefined ? [] : [line(security, `${codename}-security`)]),
  ]
}

/** Has mmdebstrap say which sources it takes when it is told of none: the vendor's. */
export function defaultSourcesWords(mode: Mode, codename: string, components: readonly string[]) {
  return [
    'mmdebstrap',
    ...[`--mode=${mode}`, '--variant=custom', '--format=null', '--skip=update'],
    `--components=${components.join(',')}`,
    // It ends there, and has done nothing.
    '--setup-hook=cat "$1/etc/apt/sources.list"; exit 1',
    codename,
    '-',
  ]
}

/** A source whose lists have to be signed with these keys. */
export function signedBy(source: string, keyring: string): string {
  const [, options, rest = ''] = /^deb (?:\[(.*?)\] )?(.*)$/.exec(source) ?? []
  return `deb [${[`signed-by=${keyring}`, options].filter(Boolean).join(' ')}] ${rest}`
}

export type BaseSpec = {
  mode: Mode
  arch: Arch
  codename: string
  /** Packages, by name: those that are wanted for themselves. */
  include: readonly string[]
  /** A repository that has these packages and what they depend on, and nothing else. */
  source: string
  /** Directory (root) or tar file (unshare) that is made. */
  target: string
}

/** Nothing here survives a crash anyway: no syncing to disk after every file. */
const UNSAFE_IO = '--dpkgopt=force-unsafe-io'

/** The command that makes a system of packages. */
export function baseWords({ mode, arch, codename, include, source, target }: BaseSpec): string[] {
  return [
    'mmdebstrap',
    ...['--verbose', `--mode=${mode}`, '--variant=apt'],
    `--architectures=${arch}`,
    `--include=${include.join(',')}`,
    UNSAFE_IO,
    // The repository of this build, which mmdebstrap would leave in place; this machine's name and resolver, or a link
    // of a resolver service, which leads nowhere yet.
    '--customize-hook=rm -f "$1/etc/apt/sources.list" "$1/etc/resolv.conf" "$1/etc/hostname"',
    // A user can't make device nodes, and so could not unpack the tar again.
    ...(mode === 'root' ? ['--format=directory'] : ['--format=tar', '--skip=output/dev']),
    codename,
    target,
    source,
  ]
}

/** For the operator's script, which may install more: where from, and what was fetched before. */
export type Network = {
  components: readonly string[]
  keyring: string
  /** Without names and passwords: they come to lie in the new system, which is no secret from other users. */
  sources: readonly string[]
  /** A file of those, as auth.conf(5) has them; undefined: there are none. */
  logins: string | undefined
  cache: { archives: string; lists: string }
  /** Use the cache alone. */
  offline: boolean
}

export type SystemSpec = {
  mode: Mode
  arch: Arch
  codename: string
  /** The system of packages: the directory itself (root), which is changed, or a tar file (unshare). */
  base: string
  /** The directory again (root), or the tar file that is made. */
  target: string
  guest: Guest
  /** Needed where the guest has a script of the operator. */
  network: Network | undefined
  /** Guest path to host file. */
  download: readonly { from: string; to: string }[]
}

/** Hooks that put a script into the new root and run it there. */
function runScript(script: GuestScript, number: number): string[] {
  const inside = `${STAGING}/${number}`
  const label = scriptLabel(script.name)
  return [
    `upload ${shellWord(script.path)} ${inside}`,
    `chmod 755 "$1${inside}"`,
    `echo '${beginLine(label)}'; chroot "$1" ${scriptCommand(script, inside)} || { echo "${endLine(label, '$?')}"; exit 1; }`,
  ]
}

/** The hooks that set a system up, in order. */
function customizeHooks({ guest, network, download }: SystemSpec): string[] {
  const scripts = [...guest.setup, ...(guest.customize ? [guest.customize] : []), ...guest.finish]
  return [
    `mkdir -p "$1${STAGING}"`,
    ...guest.files.map(({ from, to }) => `upload ${shellWord(from)} ${shellWord(to)}`),
    ...guest.directories.map((from) => `copy-in ${shellWord(from)} ${STAGING}`),
    // A resolver service in the guest has replaced this file by a link that leads nowhere yet.
    'rm -f "$1/etc/resolv.conf"; cat /etc/resolv.conf >"$1/etc/resolv.conf"',
    ...scripts.flatMap((script, i) => [
      ...runScript(script, i),
      ...(script === guest.customize && network ? endNetwork(network) : []),
    ]),
    ...download.map(({ from, to }) => `download ${shellWord(from)} ${shellWord(to)}`),
    `rm -rf "$1${STAGING}"`,
  ]
}

/** Hooks that keep what was downloaded, and take the passwords away. */
const endNetwork = ({ cache, logins }: Network) => [
  `sync-out /var/cache/apt/archives ${shellWord(cache.archives)}`,
  `sync-out /var/lib/apt/lists ${shellWord(cache.lists)}`,
  ...(logins === undefined ? [] : [`rm "$1${LOGINS}"`]),
]

/** apt reads it before it becomes another user. */
const LOGINS = '/etc/apt/auth.conf.d/hybrid-images.conf'

/** Hooks that put them there: it is nobody else's before anything is in it. */
const bringLogins = (logins: string) => [
  `mkdir -p "$1/etc/apt/auth.conf.d" && (umask 077 && : >"$1${LOGINS}")`,
  `upload ${shellWord(logins)} ${LOGINS}`,
]

/** The words by which apt works in the system, for as long as it is set up. */
function networkWords({ components, keyring, cache, logins, offline }: Network): string[] {
  return [
    `--components=${components.join(',')}`,
    `--keyring=${keyring}`,
    '--aptopt=Acquire::Retries "3"',
    '--aptopt=Acquire::Languages "none"',
    UNSAFE_IO,
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives" "$1/var/lib/apt/lists"',
    `--setup-hook=sync-in ${shellWord(cache.archives)} /var/cache/apt/archives`,
    `--setup-hook=sync-in ${shellWord(cache.lists)} /var/lib/apt/lists`,
    ...(logins === undefined ? [] : bringLogins(logins)).map((hook) => `--setup-hook=${hook}`),
    ...(offline ? ['--skip=update'] : []),
  ]
}

/** A source that is not asked for anything. */
const NOTHING = 'deb [trusted=yes] copy:/dev/null ./'

/** The command that sets a system of packages up; the network's sources are its standard input. */
export function systemWords(spec: SystemSpec): string[] {
  const { mode, arch, codename, base, target, network } = spec
  return [
    'mmdebstrap',
    ...['--verbose', `--mode=${mode}`, '--variant=custom'],
    `--architectures=${arch}`,
    ...(mode === 'root'
      ? ['--skip=check/empty']
      : ['--setup-hook=mkdir -p "$1/dev"', `--setup-hook=tar-in ${shellWord(base)} /`]),
    ...(network ? networkWords(network) : ['--skip=update']),
    `--format=${mode === 'root' ? 'directory' : 'tar'}`,
    ...customizeHooks(spec).map((hook) => `--customize-hook=${hook}`),
    codename,
    target,
    // From standard input: an address may have a password, and words of a command can be read by everybody.
    ...(network ? ['-'] : [NOTHING]),
  ]
}
