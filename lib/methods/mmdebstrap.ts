/**
 * mmdebstrap's command line, from a description of what is wanted. What it prints is read in
 * mmdebstrap-output.ts.
 *
 * Hooks run on the host with the new root as "$1"; `upload`, `download`, `sync-in` and `sync-out`
 * are mmdebstrap's own and work in every mode. Source: mmdebstrap(1), HOOKS and EXAMPLES.
 */
import type { Arch, Mirror } from '../../distros/distro.ts'
import { shellWord } from '../cli/shell-words.ts'
import { type Guest, type GuestScript, scriptCommand, STAGING } from './guest.ts'
import { beginLine, endLine, scriptLabel } from './script-failure.ts'

/** root needs no helpers; an ordinary user builds in a user name space (subordinate ids). */
export type Mode = 'root' | 'unshare'

export type Bootstrap = {
  mode: Mode
  arch: Arch
  codename: string
  components: readonly string[]
  mirror: Mirror
  keyring: string
  include: readonly string[]
  /** Directory (root) or tar file (unshare) that is made. */
  target: string
  cache: { archives: string; lists: string }
  /** Use the cache alone. */
  offline: boolean
  guest: Guest
  /** Guest path to host file. */
  download: readonly { from: string; to: string }[]
}

/** The words of a source in apt's one-line form; none: mmdebstrap's default for the release. */
export function sourceLines({
  codename,
  components,
  mirror,
}: Pick<Bootstrap, 'codename' | 'components' | 'mirror'>): string[] {
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

/** The hooks after the packages are installed, in order. */
function customizeHooks(spec: Bootstrap): string[] {
  const save = saveCache(spec.cache)
  const { guest } = spec
  const scripts = [...guest.setup, ...(guest.customize ? [guest.customize] : []), ...guest.finish]
  return [
    ...save,
    `mkdir -p "$1${STAGING}"`,
    ...guest.files.map(({ from, to }) => `upload ${shellWord(from)} ${shellWord(to)}`),
    ...guest.directories.map((from) => `copy-in ${shellWord(from)} ${STAGING}`),
    // A resolver service in the guest has replaced this file by a link that leads nowhere yet.
    'rm -f "$1/etc/resolv.conf"; cat /etc/resolv.conf >"$1/etc/resolv.conf"',
    ...scripts.flatMap((script, i) => [
      ...runScript(script, i),
      ...(script === guest.customize ? save.slice(0, 1) : []),
    ]),
    ...spec.download.map(({ from, to }) => `download ${shellWord(from)} ${shellWord(to)}`),
    `rm -rf "$1${STAGING}"`,
  ]
}

/** Hooks that keep what was downloaded. */
const saveCache = ({ archives, lists }: Bootstrap['cache']) => [
  `sync-out /var/cache/apt/archives ${shellWord(archives)}`,
  `sync-out /var/lib/apt/lists ${shellWord(lists)}`,
]

/** The words that installing and fetching have in common. */
function sharedWords(spec: Omit<Bootstrap, 'target' | 'download'>): string[] {
  const { archives, lists } = spec.cache
  return [
    'mmdebstrap',
    ...['--verbose', `--mode=${spec.mode}`],
    `--architectures=${spec.arch}`,
    `--components=${spec.components.join(',')}`,
    `--keyring=${spec.keyring}`,
    `--include=${spec.include.join(',')}`,
    '--aptopt=Acquire::Retries "3"',
    '--aptopt=Acquire::Languages "none"',
    // Nothing here survives a crash anyway: no syncing to disk after every file.
    '--dpkgopt=force-unsafe-io',
    `--skip=${['essential/unlink', ...(spec.offline ? ['update'] : [])].join(',')}`,
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives" "$1/var/lib/apt/lists"',
    `--setup-hook=sync-in ${shellWord(archives)} /var/cache/apt/archives`,
    `--setup-hook=sync-in ${shellWord(lists)} /var/lib/apt/lists`,
  ]
}

/** The command that brings all packages into the cache: they are unpacked, and thrown away. */
export function fetchWords(spec: Omit<Bootstrap, 'target' | 'download'>): string[] {
  return [
    ...sharedWords(spec),
    // Nothing of them is run. minbase has what is required beyond the essential, by itself.
    ...['--variant=extract', '--include=?priority(required)', '--format=null'],
    ...saveCache(spec.cache).map((hook) => `--extract-hook=${hook}`),
    spec.codename,
    '-',
    ...sourceLines(spec),
  ]
}

/** The whole command. */
export function mmdebstrapWords(spec: Bootstrap): string[] {
  return [
    ...sharedWords(spec),
    '--variant=minbase',
    `--format=${spec.mode === 'root' ? 'directory' : 'tar'}`,
    ...customizeHooks(spec).map((hook) => `--customize-hook=${hook}`),
    spec.codename,
    spec.target,
    ...sourceLines(spec),
  ]
}
