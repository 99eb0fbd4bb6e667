/**
 * What virsh is asked to do, and its refusals as errors of ours. It speaks to libvirt here or on another host.
 *
 * Source: virsh(1); messages of libvirt 9.
 */
import { BuildError, HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'

export type VirshOptions = {
  /** Run even after the operator has interrupted: it is part of an undo. */
  undo?: boolean
  /** The part of a file that it reads from its standard input, `/dev/stdin`. */
  from?: { path: string; offset: number; length: number | undefined }
  /** What it writes to `/dev/stdout` becomes its SHA-256. */
  digest?: boolean
}

export type Virsh = {
  uri: string
  /** @returns what it prints @throws {BuildError} `Cannot <what>: <its last words>` */
  run(what: string, words: readonly (string | number)[], options?: VirshOptions): Promise<string>
  /** As run(), with undefined where the volume is not there. */
  find(
    what: string,
    words: readonly (string | number)[],
    options?: VirshOptions,
  ): Promise<string | undefined>
}

const MISSING = /Storage volume not found/

/** Around virsh where it takes or gives content: a program of ours is given text alone. */
const SCRIPTS = {
  from: 'path=$1; from=$2; shift 2; tail -c "+$from" -- "$path" | virsh "$@"',
  part: 'path=$1; from=$2; length=$3; shift 3; tail -c "+$from" -- "$path" | head -c "$length" | virsh "$@"',
  digest: 'virsh "$@" | sha256sum',
}

export function virshAt(uri: string): Virsh {
  async function attempt(words: readonly (string | number)[], options: VirshOptions) {
    const { undo = false, from, digest } = options
    const virsh = ['--connect', uri, '--quiet', ...words]
    const shell = (name: keyof typeof SCRIPTS, ...first: (string | number)[]) => {
      // tail ends by SIGPIPE once head has enough: that is no failure of the whole.
      const strict = name === 'part' ? [] : ['-o', 'pipefail']
      return ['bash', ...strict, '-c', SCRIPTS[name], 'bash', ...first, ...virsh]
    }
    const command = digest
      ? shell('digest')
      : from === undefined
        ? ['virsh', ...virsh]
        : from.length === undefined
          ? shell('from', from.path, from.offset + 1)
          : shell('part', from.path, from.offset + 1, from.length)
    return $({ nothrow: true, undo })`${command}`
  }
  const find: Virsh['find'] = async (what, words, options = {}) => {
    const { exitCode, stdout, stderr } = await attempt(words, options)
    if (exitCode === 0) return stdout
    if (MISSING.test(stderr)) return undefined
    throw refusal(what, uri, stderr, exitCode)
  }
  return {
    uri,
    find,
    async run(what, words, options) {
      const said = await find(what, words, options)
      if (said !== undefined) return said
      throw new BuildError(`Cannot ${what}: the volume is gone`, {
        hint: 'Somebody deleted it meanwhile; publish again',
      })
    },
  }
}

function refusal(what: string, uri: string, stderr: string, exitCode: number): BuildError {
  if (/virsh: (command )?not found/.test(stderr)) {
    return new HostError(`Cannot ${what}: virsh is not in $PATH`, {
      hint: 'Install it: apt-get install libvirt-clients, or dnf install libvirt-client',
    })
  }
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^error: /, '').trim())
    .filter(Boolean)
  const said = lines.at(-1) ?? `virsh exited ${exitCode}`
  return new BuildError(`Cannot ${what}: ${said}`, { hint: hintOf(stderr, uri) })
}

function hintOf(stderr: string, uri: string): string | undefined {
  if (/failed to connect/.test(stderr)) {
    return `Does libvirt run there, and may you use it? Try: virsh --connect ${uri} uri`
  }
  if (/pool not found/.test(stderr)) {
    return `Choose one with --pool: virsh --connect ${uri} pool-list --all`
  }
  if (/pool .* is not active/.test(stderr)) {
    return `Start it: virsh --connect ${uri} pool-start NAME`
  }
  if (/No space left/.test(stderr))
    return 'Free some space in the pool, or choose another with --pool'
  return undefined
}
