/**
 * A recipe: one release with everything that the options decide, resolved and printable.
 */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { homedir } from 'node:os'
import { type Distro, findRelease, type Mirror, type Release } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import { parseList, parseSize, parseUrl, type Options, type OptionTable } from '../cli/options.ts'
import { SMALLEST_DISK } from '../disk/layout.ts'
import { compactDay, type Stamp } from './stamp.ts'

const MIB = 1024 ** 2

/** A disk size in whole MiB, large enough for a system. @throws {UsageError} otherwise */
function parseDiskSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes >= SMALLEST_DISK) return bytes
  throw new UsageError(`Size ${text} is too small: a system needs ${SMALLEST_DISK / MIB}M at least`)
}

function parsePackages(text: string): string[] {
  const names = parseList(text)
  const wrong = names.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name))
  if (wrong === undefined) return names
  throw new UsageError(`Cannot read package name "${wrong}": names are lower-case, as in vim-tiny`)
}

function parseKernel(text: string): string {
  const names = parsePackages(text)
  if (names.length === 1) return names[0]!
  throw new UsageError(`Cannot read kernel "${text}": name one package`)
}

/** Options of the create-image commands. */
export const imageOptions = {
  output: { arg: 'DIR', default: 'bits', help: 'where images go, below <name>/<stamp>/' },
  size: { arg: 'SIZE', default: '10G', parse: parseDiskSize, help: 'size of the disk' },
  kernel: { arg: 'PKG', parse: parseKernel, help: "kernel package instead of the release's own" },
  include: { arg: 'PKG,...', default: '', parse: parsePackages, help: 'packages to add' },
  customize: { arg: 'SCRIPT', help: 'run this inside the new system before it is cleaned up' },
  mirror: { arg: 'URL', parse: parseUrl, help: 'package mirror for the build, not for the image' },
  'security-mirror': {
    arg: 'URL',
    parse: (text: string) => (text === 'none' ? 'none' : parseUrl(text)),
    help: "security mirror that goes with --mirror, or none (default: the vendor's)",
  },
  proxy: {
    arg: 'URL',
    parse: parseUrl,
    env: ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'],
    help: 'proxy for the build; leaves no trace in the image',
  },
  cache: {
    arg: 'DIR',
    help: 'where downloads are kept (default ~/.cache/hybrid-images)',
  },
  offline: { help: 'use the cache alone, no network' },
  'dry-run': { help: 'print the recipe and every command in order; touch nothing' },
  json: { help: 'print the result as JSON' },
  keep: { help: 'keep temporary files, for a look' },
  install: { default: true, help: 'do not install missing host packages: say what is missing' },
} as const satisfies OptionTable

export type ImageOptions = Options<typeof imageOptions>

export type Recipe = {
  name: string
  version: string
  title: string
  description: string
  homepage: string
  release: Release
  method: 'bootstrap'
  target: 'smartos'
  diskBytes: number
  kernel: string
  packages: string[]
  customize: string | undefined
  mirrors: Mirror[]
  proxyEnv: Record<string, string>
  cache: string
  offline: boolean
  output: string
  stamp: Stamp
}

/** Both spellings are read by programs in the wild; NO_PROXY goes along. */
function proxyVariables(proxy: string | undefined, env: NodeJS.ProcessEnv): Record<string, string> {
  if (proxy === undefined) return {}
  const none = env['no_proxy'] || env['NO_PROXY']
  const https = env['https_proxy'] || env['HTTPS_PROXY'] || proxy
  return {
    http_proxy: proxy,
    HTTP_PROXY: proxy,
    https_proxy: https,
    HTTPS_PROXY: https,
    ...(none && { no_proxy: none, NO_PROXY: none }),
  }
}

function mirrorsOf(distro: Distro, options: ImageOptions): Mirror[] {
  const { mirror, 'security-mirror': security } = options
  if (mirror === undefined) {
    if (security !== undefined) throw new UsageError('Option --security-mirror needs --mirror')
    return [...distro.mirrors]
  }
  const strip = (url: string) => url.replace(/\/+$/, '')
  if (security === 'none') return [{ main: strip(mirror) }]
  return [{ main: strip(mirror), security: strip(security ?? distro.securityMirror) }]
}

/** The operator's script, readable and there. @throws {UsageError} otherwise */
async function findScript(path: string): Promise<string> {
  const script = resolve(path)
  try {
    if (!(await stat(script)).isFile()) throw new UsageError(`Cannot use "${path}": it is no file`)
    await access(script, constants.R_OK)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`Cannot read customize script "${path}"`, {
      hint: 'Does the file exist, and may you read it?',
      cause: error,
    })
  }
  return script
}

/**
 * Options to recipe.
 *
 * @throws {UsageError} for a release that is not known, or options that do not fit
 */
export async function resolveRecipe(
  distro: Distro,
  wanted: string,
  options: ImageOptions,
  stamp: Stamp,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Recipe> {
  const release = findRelease(distro, wanted)
  if (!release) {
    const known = distro.releases.map(({ version }) => version).join(', ')
    throw new UsageError(`Unknown ${distro.title} release "${wanted}": known are ${known}`)
  }
  const title = `${distro.title} ${release.version} (${release.codename})`
  const cacheHome = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache')
  const kernel = options.kernel ?? release.kernel
  return {
    name: `${distro.name}-${release.version}`,
    version: compactDay(stamp.at),
    title,
    description: `${title} 64-bit image for KVM and bhyve, set up by the metadata service`,
    homepage: distro.homepage,
    release,
    method: 'bootstrap',
    target: 'smartos',
    diskBytes: options.size,
    kernel,
    packages: [...new Set([kernel, ...distro.packages, ...release.packages, ...options.include])],
    customize: options.customize === undefined ? undefined : await findScript(options.customize),
    mirrors: mirrorsOf(distro, options),
    proxyEnv: proxyVariables(options.proxy, env),
    cache: resolve(options.cache ?? join(cacheHome, 'hybrid-images')),
    offline: options.offline,
    output: resolve(options.output),
    stamp,
  }
}
