/**
 * mmdebstrap's command line, from a description of what is wanted. What it prints is read in
 * mmdebstrap-output.ts.
 *
 * Hooks run on the host with the new root as "$1"; `upload`, `download`, `sync-in` and `sync-out`
 * are mmdebstrap's own and work in every mode. Source: mmdebstrap(1), HOOKS and EXAMPLES.
 */
import type { Mirror } from '../../distros/distro.ts'
import { shellCommand, shellWord } from '../cli/shell-words.ts'

/** root needs no helpers; an ordinary user builds in a user name space (subordinate ids). */
export type Mode = 'root' | 'unshare'

/** Where things are put inside the new root while it is set up; removed at the end. */
export const STAGING = '/var/tmp/hybrid-images'

export type GuestScript = {
  /** On the host. */
  path: string
  /** Name in messages: `setup.sh`, or the operator's own. */
  name: string
  env: Readonly<Record<string, string>>
}

export type Bootstrap = {
  mode: Mode
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
  /** Host file to guest path. */
  files: readonly { from: string; to: string }[]
  /** Host directories whose contents the scripts find in STAGING, below their own names. */
  directories: readonly string[]
  setup: readonly GuestScript[]
  customize: GuestScript | undefined
  finish: readonly GuestScript[]
  /** Guest path to host file. */
  download: readonly { from: string; to: string }[]
}

/** The words of a source in apt's one-line form; none: mmdebstrap's default for the release. */
export function sourceLines({ codename, components, mirror }: Bootstrap): string[] {
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

/** Marks the line that says which script failed, and how, in mmdebstrap's output. */
export const FAILED = 'hybrid-images-script-failed'

/** Hooks that put a script into the new root and run it there. */
function runScript({ path, name, env }: GuestScript, number: number): string[] {
  const inside = `${STAGING}/${number}`
  const command = shellCommand({ words: ['env', ...assignments(env), inside] })
  return [
    `upload ${shellWord(path)} ${inside}`,
    `chmod 755 "$1${inside}"`,
    `chroot "$1" ${command} || { echo "${FAILED} $? ${name.replaceAll(/[^\w.-]/g, '_')}"; exit 1; }`,
  ]
}

const assignments = (env: GuestScript['env']) =>
  Object.entries(env).map(([name, value]) => `${name}=${value}`)

/** The hooks after the packages are installed, in order. */
function customizeHooks(spec: Bootstrap): string[] {
  const saveCache = [
    `sync-out /var/cache/apt/archives ${shellWord(spec.cache.archives)}`,
    `sync-out /var/lib/apt/lists ${shellWord(spec.cache.lists)}`,
  ]
  const scripts = [...spec.setup, ...(spec.customize ? [spec.customize] : []), ...spec.finish]
  return [
    ...saveCache,
    `mkdir -p "$1${STAGING}"`,
    ...spec.files.map(({ from, to }) => `upload ${shellWord(from)} ${shellWord(to)}`),
    ...spec.directories.map((from) => `copy-in ${shellWord(from)} ${STAGING}`),
    // A resolver service in the guest has replaced this file by a link that leads nowhere yet.
    'rm -f "$1/etc/resolv.conf"; cat /etc/resolv.conf >"$1/etc/resolv.conf"',
    ...scripts.flatMap((script, i) => [
      ...runScript(script, i),
      ...(script === spec.customize ? saveCache.slice(0, 1) : []),
    ]),
    ...spec.download.map(({ from, to }) => `download ${shellWord(from)} ${shellWord(to)}`),
    `rm -rf "$1${STAGING}"`,
  ]
}

/** The whole command. */
export function mmdebstrapWords(spec: Bootstrap): string[] {
  const { archives, lists } = spec.cache
  return [
    'mmdebstrap',
    ...['--verbose', `--mode=${spec.mode}`],
    `--format=${spec.mode === 'root' ? 'directory' : 'tar'}`,
    '--architectures=amd64',
    '--variant=minbase',
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
    ...customizeHooks(spec).map((hook) => `--customize-hook=${hook}`),
    spec.codename,
    spec.target,
    ...sourceLines(spec),
  ]
}
