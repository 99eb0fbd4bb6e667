/** What this machine runs: some Linux, or SmartOS and which of its zones. */
import { readFile } from 'node:fs/promises'
import { arch, release, type } from 'node:os'
import { $ } from '../cli/run.ts'

export type System =
  | { kind: 'linux'; title: string; machine: string }
  | { kind: 'smartos'; title: string; machine: string; zone: string }

/** The zone that is not one: where zones are made. */
export const GLOBAL_ZONE = 'global'

const ask = async (words: string[]) => {
  const { exitCode, stdout } = await $({ nothrow: true, readOnly: true })`${words}`
  return exitCode === 0 ? stdout.trim() : undefined
}

/** Asked by the system's own programs, and where they are missing by what Node knows. */
export async function readSystem(): Promise<System> {
  const said = (await ask(['uname', '-svm'])) ?? `${type()} ${release()} ${arch()}`
  const [, name, version, machine] = /^(\S+) (.*) (\S+)$/.exec(said) ?? []
  const found = { machine: machine === 'x64' ? 'x86_64' : (machine ?? 'of unknown kind') }
  if (name === 'SunOS') {
    const zone = (await ask(['zonename'])) ?? 'unknown'
    return { kind: 'smartos', title: `SmartOS ${version}`, zone, ...found }
  }
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const title = /^PRETTY_NAME="?([^"\n]+)/m.exec(text)?.[1] ?? `Linux ${version}`
  return { kind: 'linux', title, ...found }
}
