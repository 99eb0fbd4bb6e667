/**
 * apt, pointed at a directory of its own that stands for a system which has no package yet. So the packages of
 * a system are chosen before anything is installed, by any user, and without a trace on this machine.
 *
 * Source: apt.conf(5), "DIRECTORIES" and APT_CONFIG; apt-patterns(7).
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Arch } from '../../distros/distro.ts'
import { $, act, type Door, type RunOptions } from '../cli/run.ts'

export type AptPlace = {
  /** Emptied by nobody: the caller's own. */
  directory: string
  /** Where the lists of the mirror are kept. */
  lists: string
  arch: Arch
  /** Of sources.list. */
  sources: readonly string[]
  /** For http and https. */
  proxyEnv: Readonly<Record<string, string>>
}

/** Programs of apt that are run: each with its configuration, and the C locale. */
export type Apt = (options?: RunOptions) => Door

/** The text of the configuration: this machine's own is not read. */
export function aptConfig({ directory, lists, arch }: Omit<AptPlace, 'sources'>): string {
  const settings: [string, string][] = [
    ['APT::Architecture', arch],
    ['Dir', directory],
    ['Dir::Etc', join(directory, 'etc')],
    ['Dir::Etc::SourceList', join(directory, 'sources.list')],
    ['Dir::Etc::SourceParts', '/dev/null'],
    ['Dir::Etc::TrustedParts', '/dev/null'],
    ['Dir::State', join(directory, 'state')],
    ['Dir::State::Lists', lists],
    ['Dir::State::Status', join(directory, 'status')],
    // Nothing is in there, so that every package has to be fetched as far as apt knows.
    ['Dir::Cache', join(directory, 'cache')],
    ['APT::Install-Recommends', 'false'],
    ['APT::Install-Suggests', 'false'],
    ['APT::Sandbox::User', ''],
    // Lists of yesterday are no substitute for a mirror that does not answer. Known since apt 2.1.
    ['APT::Update::Error-Mode', 'any'],
    ['Acquire::Languages', 'none'],
    ['Acquire::Retries', '3'],
  ]
  return [
    ...settings.map(([name, value]) => `${name} "${value}";`),
    `APT::Architectures { "${arch}"; };`,
    '',
  ].join('\n')
}

/** A password may have an `@` as it is: the last one in front of the path ends it. */
const LOGIN = /(\w+:\/\/)([^\s/@:]+)(?::([^\s/]*))?@([^\s/@]+)/

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a percent sign that stands for itself
  }
}

/** Names and passwords in a source's address, for the file that apt has for them. Source: apt_auth.conf(5). */
export function splitLogin(source: string): { source: string; login: string | undefined } {
  const [, scheme, user, password = '', host] = LOGIN.exec(source) ?? []
  if (user === undefined) return { source, login: undefined }
  const [login, word] = [user, password].map(decoded)
  return {
    source: source.replace(LOGIN, `$1$4`),
    login: `machine ${scheme}${host} login ${login} password ${word}`,
  }
}

/** Make the directories and the configuration. @throws {BuildError} when they can't be written */
export async function prepareApt(place: AptPlace): Promise<Apt> {
  const { directory } = place
  const config = join(directory, 'apt.conf')
  await act(`write ${config}, and the sources that apt reads`, async () => {
    for (const name of [
      'etc/apt.conf.d',
      'etc/preferences.d',
      'state',
      'cache/archives/partial',
      'tmp',
    ]) {
      await mkdir(join(directory, name), { recursive: true })
    }
    await writeFile(join(directory, 'status'), '')
    // Words of a command can be read by every user of this machine: passwords have a file of their own.
    const split = place.sources.map(splitLogin)
    const logins = [...new Set(split.flatMap(({ login }) => login ?? []))]
    await writeFile(join(directory, 'etc/auth.conf'), logins.join('\n'), { mode: 0o600 })
    const text = split.map(({ source }) => `${source}\n`).join('')
    await writeFile(join(directory, 'sources.list'), text)
    await writeFile(config, aptConfig(place))
  })
  // What checks a signature writes files there, and leaves them when it is ended.
  const env = { APT_CONFIG: config, TMPDIR: join(directory, 'tmp') }
  return (options = {}) => $({ ...options, env: { ...place.proxyEnv, ...options.env, ...env } })
}
