/**
 * A recipe: one release with everything that the options decide, resolved and printable.
 */
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { homedir } from 'node:os'
import { architectures } from '../../distros/architectures.ts'
import {
  type Arch,
  type Distro,
  findRelease,
  type Mirror,
  type Release,
  systemOf,
} from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import { parseList, parseSize, parseUrl, type Options, type OptionTable } from '../cli/options.ts'
import { defaultDisk, diskOptions, type DiskWishes } from '../disk/disk.ts'
import { LAYOUTS, type LayoutName, SMALLEST_DISK } from '../disk/layout.ts'
import type { HypervisorWishes } from '../host/hypervisor.ts'
import { type LeftoverName, parseLeftovers } from '../hygiene/leftovers.ts'
import { machineOptions } from '../machine/options.ts'
import { checkGiven, type GivenMedia, parseDigest } from '../media/given.ts'
import { mediaAt } from '../media/media-at.ts'
import { checkUserData } from '../methods/user-data.ts'
import type { ImageFormat } from '../targets/target.ts'
import { targetOf, type TargetName } from '../targets/targets.ts'
import { resolveVariables, type Variables } from '../targets/variables.ts'
import { archOption, checkArch, distroFor } from './arch.ts'
import { builderOption } from './provenance.ts'
import { formatFor, namesFor, shippingOptions } from './shipping.ts'
import { snapshotMirror } from './snapshot.ts'
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

/** Where a build works. */
export const WORK = ['auto', 'memory', 'disk'] as const

function parseSnapshot(text: string): string {
  if (/^\d{8}T\d{6}Z$/.test(text)) return text
  throw new UsageError(`Cannot read snapshot "${text}": a time is needed, as in 20261101T000000Z`)
}

/** Ways to get a system onto the disk. */
export const METHODS = ['bootstrap', 'installer', 'cloud-image'] as const
export type MethodName = (typeof METHODS)[number]

/** Options that say nothing to other methods than these. */
const ONLY: Readonly<Partial<Record<keyof ImageOptions, readonly MethodName[]>>> = {
  iso: ['installer'],
  media: ['installer'],
  sums: ['installer'],
  key: ['installer'],
  answers: ['installer'],
  checksum: ['installer', 'cloud-image'],
  base: ['cloud-image'],
  files: ['cloud-image'],
  snapshot: ['bootstrap'],
  locked: ['bootstrap'],
  'user-data': ['cloud-image'],
}

export const proxyOption = {
  arg: 'URL',
  parse: parseUrl,
  env: ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'],
  help: 'proxy for the build; leaves no trace in the image',
} as const

/** Options of the create-image commands. */
export const imageOptions = {
  ...shippingOptions,
  ...archOption,
  method: {
    arg: 'NAME',
    choices: METHODS,
    help: "bootstrap fills the disk from a package mirror; installer runs the vendor's own in a machine; cloud-image boots and changes the vendor's cloud image (default: the first of them that the distro has)",
  },
  layout: {
    arg: 'NAME',
    choices: LAYOUTS,
    default: 'plain',
    help: 'system on a partition, or on the logical volume rootlv',
  },
  output: { arg: 'DIR', default: 'bits', help: 'where images go, below <name>/<stamp>/' },
  size: { arg: 'SIZE', default: '10G', parse: parseDiskSize, help: 'size of the disk' },
  ...diskOptions,
  dataset: {
    arg: 'NAME',
    default: '/data',
    help: 'where volumes are made: a dataset, or what it is mounted at',
  },
  kernel: {
    arg: 'PKG',
    parse: parseKernel,
    help: "kernel package instead of the release's own; a tgz has none without it",
  },
  include: { arg: 'PKG,...', default: '', parse: parsePackages, help: 'packages to add' },
  customize: { arg: 'SCRIPT', help: 'run this inside the new system before it is cleaned up' },
  'allow-leftover': {
    arg: 'NAME,...',
    default: '',
    parse: parseLeftovers,
    help: 'leftovers to ship on purpose, by the names that a refused build gives them',
  },
  mirror: { arg: 'URL', parse: parseUrl, help: 'package mirror for the build, not for the image' },
  'security-mirror': {
    arg: 'URL',
    parse: (text: string) => (text === 'none' ? 'none' : parseUrl(text)),
    help: "security mirror that goes with --mirror, or none (default: the vendor's)",
  },
  keyring: {
    arg: 'FILE',
    help: "keys that sign the packages of --mirror, where they are not the vendor's",
  },
  proxy: proxyOption,
  iso: { arg: 'PATH|URL', help: "installation medium instead of the vendor's newest" },
  media: {
    arg: 'URL',
    parse: parseUrl,
    help: "folder with the vendor's media and their list, in place of the vendor's own",
  },
  sums: { arg: 'NAME', help: 'name of the list there (default: as the vendor calls it)' },
  checksum: {
    arg: 'HEX|FILE',
    help: "the medium's or base image's SHA-256 or SHA-512, or a file that lists it",
  },
  key: { arg: 'FILE', help: "the vendor's signing key; its fingerprint has to be the known one" },
  answers: { arg: 'FILE', help: "more answers for the installer, behind this project's own" },
  base: {
    arg: 'PATH|URL',
    help: "cloud image instead of the vendor's newest: qcow2, raw, or a tar of one",
  },
  files: {
    arg: 'DIR',
    help: 'what --customize can fetch at http://$HYBRID_HTTP_IP:$HYBRID_HTTP_PORT/',
  },
  'user-data': {
    arg: 'FILE',
    help: "more for the base image's cloud-init, beside this project's own",
  },
  ...machineOptions,
  memory: {
    arg: 'SIZE',
    parse: parseSize,
    help: 'memory of the machine (default: what the installer needs)',
  },
  ...builderOption,
  snapshot: {
    arg: 'TIME',
    parse: parseSnapshot,
    help: "state of the vendor's archive, as in 20261101T000000Z; or of --mirror, where that has {snapshot} in its place",
  },
  locked: {
    arg: 'FILE',
    help: "packages of an earlier build, by its .lock.json, and its image's date",
  },
  work: {
    arg: 'NAME',
    choices: WORK,
    default: 'auto',
    help: 'where temporary files are; auto takes memory where there is enough of it',
  },
  fresh: { help: 'make every stage anew, though an earlier build has kept it' },
  'upload-to': { arg: 'DIR', help: 'where the stage upload puts finished builds' },
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
  method: MethodName
  target: TargetName
  /** Of the target, with their values. */
  variables: Variables
  format: ImageFormat
  /** Of its files, without their endings. */
  fileName: string
  layout: LayoutName
  arch: Arch
  disk: DiskWishes
  kernel: string
  /** The operator's own choice. */
  customKernel: string | undefined
  packages: string[]
  customize: string | undefined
  /** What the system may hold on purpose. */
  allowLeftovers: LeftoverName[]
  mirrors: Mirror[]
  /** Keys that sign their packages; undefined: the vendor's. */
  keyring: string | undefined
  proxyEnv: Record<string, string>
  cache: string
  offline: boolean
  output: string
  /** URI of who builds. */
  builder: string
  stamp: Stamp
  /** What the image is dated: its version, its manifest, its files. */
  at: Date
  /** Lock of an earlier build, whose packages are used. */
  locked: string | undefined
  work: (typeof WORK)[number]
  /** Reuse nothing of earlier builds but downloads. */
  fresh: boolean
  /** For method installer. */
  installer: InstallerRecipe | undefined
  /** For method cloud-image. */
  cloud: CloudRecipe | undefined
}

/** The machine that a method needs. */
export type MachineRecipe = {
  hypervisor: HypervisorWishes
  memoryMiB: number
  cpus: number
  vnc: string
  limitSeconds: number
}

export type CloudRecipe = MachineRecipe & {
  /** The operator's own image; undefined: the vendor's newest. */
  base: GivenMedia | undefined
  /** Digest that the vendor's has to have. */
  pinned: string | undefined
  /** Kernel package that takes the place of the image's. */
  kernel: string | undefined
  /** Directory that the operator's script can fetch from. */
  files: string | undefined
  userData: string | undefined
}

export type InstallerRecipe = MachineRecipe & {
  /** The operator's own medium; undefined: the vendor's newest. */
  medium: GivenMedia | undefined
  /** Digest that the vendor's medium has to have. */
  pinned: string | undefined
  key: string | undefined
  answers: string | undefined
}

/** Both spellings are read by programs in the wild; NO_PROXY goes along. */
export function proxyVariables(
  proxy: string | undefined,
  env: NodeJS.ProcessEnv,
): Record<string, string> {
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

/** An archive as it was at a time. @throws {UsageError} where nobody keeps such */
function snapshotOf(distro: Distro, options: ImageOptions, snapshot: string): Mirror {
  const { mirror, 'security-mirror': security } = options
  if (mirror === undefined) {
    const { snapshots } = distro.bootstrap ?? {}
    if (snapshots) return snapshotMirror(snapshots, snapshot)
    throw new UsageError(
      `Option --snapshot needs --mirror: nobody keeps old states of ${distro.title}`,
    )
  }
  const given = [mirror, ...(security === undefined || security === 'none' ? [] : [security])]
  const without = given.find((url) => !url.includes('{snapshot}'))
  if (without !== undefined) {
    throw new UsageError(`Option --snapshot needs {snapshot} in ${without}`, {
      hint: 'As in http://mirror.example.com/{snapshot}/debian',
    })
  }
  const [main, beside] = given.map((url) => url.replace(/\/+$/, ''))
  return snapshotMirror(
    { main: main!, ...(beside !== undefined && { security: beside }) },
    snapshot,
  )
}

function mirrorsOf(distro: Distro, options: ImageOptions): Mirror[] {
  const { mirror, 'security-mirror': security, snapshot } = options
  if (snapshot !== undefined) return [snapshotOf(distro, options, snapshot)]
  if (mirror === undefined) {
    if (security !== undefined) throw new UsageError('Option --security-mirror needs --mirror')
    return [...(distro.bootstrap?.mirrors ?? [])]
  }
  if (security !== undefined && security !== 'none' && !distro.bootstrap) {
    throw new UsageError(`Option --security-mirror: ${distro.title} has updates on its one mirror`)
  }
  const strip = (url: string) => url.replace(/\/+$/, '')
  const beside = security ?? distro.bootstrap?.securityMirror ?? 'none'
  return [{ main: strip(mirror), ...(beside !== 'none' && { security: strip(beside) }) }]
}

/** The operator's file, readable and there. @throws {UsageError} otherwise */
async function findOwn(what: string, path: string): Promise<string> {
  const script = resolve(path)
  try {
    if (!(await stat(script)).isFile()) throw new UsageError(`Cannot use "${path}": it is no file`)
    await access(script, constants.R_OK)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`Cannot read ${what} "${path}"`, {
      hint: 'Does the file exist, and may you read it?',
      cause: error,
    })
  }
  return script
}

/** @throws {UsageError} where it would be of no use */
async function ownKeyring(method: MethodName, options: ImageOptions): Promise<string | undefined> {
  const { keyring, mirror } = options
  if (keyring === undefined) return undefined
  if (method !== 'bootstrap') throw new UsageError('Option --keyring needs --method bootstrap')
  if (mirror === undefined) throw new UsageError('Option --keyring needs --mirror')
  return findOwn('keyring', keyring)
}

/** @throws {UsageError} for options that say nothing to the method */
function checkStray(method: MethodName, options: ImageOptions): void {
  for (const [name, methods] of Object.entries(ONLY)) {
    if (options[name as keyof ImageOptions] === undefined || methods.includes(method)) continue
    throw new UsageError(`Option --${name} needs --method ${methods.join(' or ')}`)
  }
  if (method === 'installer') return
  if (method === 'cloud-image' && options.layout === 'lvm') {
    throw new UsageError(
      'Option --layout lvm does not fit --method cloud-image: the base has its own',
    )
  }
  if (options.machine === 'bhyve') {
    throw new UsageError('Option --machine bhyve needs --method installer')
  }
}

function machineRecipe(memory: string, release: Release, options: ImageOptions): MachineRecipe {
  return {
    hypervisor: {
      machine: options.machine,
      accel: options.accel,
      arch: options.arch,
      qemu: options['qemu-binary'],
      cpu: release.cpu,
    },
    memoryMiB: (options.memory ?? parseSize(memory)) / MIB,
    cpus: options.cpus,
    vnc: options.vnc,
    limitSeconds: options.timeout,
  }
}

async function installerRecipe(
  distro: Distro,
  release: Release,
  options: ImageOptions,
): Promise<InstallerRecipe> {
  const { iso, checksum, key, answers } = options
  if (iso !== undefined && options.media !== undefined) {
    throw new UsageError('Option --media says nothing beside --iso')
  }
  if (iso === undefined && checksum !== undefined) parseDigest(checksum)
  const medium = iso === undefined ? undefined : { iso, checksum }
  if (medium) checkGiven(medium)
  return {
    medium,
    pinned: iso === undefined ? checksum : undefined,
    key: key === undefined ? undefined : await findOwn('key', key),
    answers: answers === undefined ? undefined : await findOwn('answers', answers),
    ...machineRecipe(distro.installer.memory, release, options),
  }
}

/** @throws {UsageError} when it can't be read, or is of no use to cloud-init */
async function ownUserData(path: string): Promise<string> {
  const found = await findOwn('user-data', path)
  await checkUserData(await readFile(found, 'utf8'), path)
  return found
}

/** Of the machine that a cloud image is set up in. */
const CLOUD_MEMORY = '2G'

/** @throws {UsageError} for a distro whose cloud images nobody has described */
async function cloudRecipe(
  distro: Distro,
  release: Release,
  options: ImageOptions,
  format: ImageFormat,
): Promise<CloudRecipe> {
  const { base, checksum, files, 'user-data': userData } = options
  const hardware = format !== 'tgz' && targetOf(options).hardware
  const kernel = options.kernel ?? (hardware ? release.hardwareKernel : undefined)
  const title = release.title ?? `${distro.title} ${release.version}`
  if (!systemOf(distro, release).cloudImage) {
    throw new UsageError(`${title} can't be built by --method cloud-image`)
  }
  if (base === undefined && !release.cloudMedia) {
    throw new UsageError(`Method cloud-image needs --base for ${title}`, {
      hint: "Its vendor has no list of cloud images: fetch one, and compare its digest with the vendor's page",
    })
  }
  if (base === undefined && checksum !== undefined) parseDigest(checksum)
  const given = base === undefined ? undefined : { iso: base, checksum }
  if (given) checkGiven(given)
  if (files !== undefined && !(await stat(files).catch(() => undefined))?.isDirectory()) {
    throw new UsageError(`Cannot read --files "${files}": it is no directory`)
  }
  return {
    base: given,
    pinned: base === undefined ? checksum : undefined,
    kernel,
    files: files === undefined ? undefined : resolve(files),
    userData: userData === undefined ? undefined : await ownUserData(userData),
    ...machineRecipe(CLOUD_MEMORY, release, options),
  }
}

function diskWishes(method: MethodName, format: ImageFormat, options: ImageOptions): DiskWishes {
  const { disk, size, volblocksize, dataset } = options
  if (format !== 'zfs.gz') {
    if (disk === 'zvol') throw new UsageError(`Option --disk zvol does not fit --format ${format}`)
    return { kind: 'file', bytes: size, blockBytes: volblocksize, parent: dataset }
  }
  if (method === 'bootstrap' && disk === 'zvol') {
    throw new UsageError('Option --disk zvol needs --method installer')
  }
  const kind = disk ?? (method === 'bootstrap' ? 'file' : defaultDisk())
  return { kind, bytes: size, blockBytes: volblocksize, parent: dataset }
}

/** Debian's tools, which bootstrap builds with, are on Linux. */
function defaultMethod(distro: Distro, platform: string = process.platform): MethodName {
  return distro.bootstrap && platform !== 'sunos' ? 'bootstrap' : 'installer'
}

/**
 * Options to recipe.
 *
 * @throws {UsageError} for a release that is not known, or options that do not fit
 */
export async function resolveRecipe(
  given: Distro,
  wanted: string,
  options: ImageOptions,
  stamp: Stamp,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Recipe> {
  const distro = distroFor(given, options.arch)
  const vendors = findRelease(distro, wanted)
  if (!vendors) {
    const known = distro.releases.map(({ version }) => version).join(', ')
    throw new UsageError(`Unknown ${distro.title} release "${wanted}": known are ${known}`)
  }
  const target = targetOf(options)
  const reason = target.refuses?.(distro)
  if (reason !== undefined) {
    throw new UsageError(`${distro.title} can't be built for --target ${target.name}: ${reason}`)
  }
  const { layout } = options
  const release = { ...vendors, media: mediaAt(vendors.media, options) }
  const method = options.method ?? defaultMethod(distro)
  if (method === 'bootstrap' && !distro.bootstrap) {
    throw new UsageError(`${distro.title} can't be built by --method bootstrap: choose installer`)
  }
  const codename = release.codename && ` (${release.codename})`
  checkStray(method, options)
  checkArch(options, method)
  const title = release.title ?? `${distro.title} ${release.version}${codename}`
  const cacheHome = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache')
  const format = formatFor(options)
  if (format === 'tgz' && !systemOf(distro, vendors).rootTar) {
    throw new UsageError(`${distro.title} ${vendors.version} can't ship as a root tar`, {
      hint: 'Choose --format ddgz',
    })
  }
  const variables = await resolveVariables(target.name, target.variables, options)
  const own = target.hardware ? (release.hardwareKernel ?? release.kernel) : release.kernel
  const kernel = options.kernel ?? own
  const version = compactDay(stamp.at)
  const usual = `${distro.name}-${release.version}${architectures[options.arch].suffix}`
  // Whoever deploys a root tar puts in what its machine boots with. A system that is made in a machine has to
  // boot there: what is left out here goes at its end.
  const tree = format === 'tgz' && method === 'bootstrap'
  const left: readonly string[] = tree ? (distro.bootstrap?.bootPackages ?? []) : []
  return {
    ...namesFor(options, usual, format, version),
    version,
    title,
    description: `${title} ${target.about}`,
    homepage: distro.homepage,
    release,
    method,
    target: options.target,
    variables,
    format,
    layout,
    arch: options.arch,
    disk: diskWishes(method, format, options),
    kernel,
    customKernel: options.kernel,
    packages: [
      ...new Set([
        ...(tree && options.kernel === undefined ? [] : [kernel]),
        ...systemOf(distro, release).packages.filter((name) => !left.includes(name)),
        ...target.packages(variables),
        ...release.packages,
        // Installers bring them by themselves.
        ...(method === 'bootstrap' ? (distro.bootstrap?.layoutPackages[layout] ?? []) : []),
        ...options.include,
      ]),
    ],
    customize:
      options.customize === undefined
        ? undefined
        : await findOwn('customize script', options.customize),
    allowLeftovers: options['allow-leftover'],
    mirrors: mirrorsOf(distro, options),
    keyring: await ownKeyring(method, options),
    proxyEnv: proxyVariables(options.proxy, env),
    cache: resolve(options.cache ?? join(cacheHome, 'hybrid-images')),
    offline: options.offline,
    output: resolve(options.output),
    builder: options.builder,
    stamp,
    at: stamp.at,
    locked: options.locked === undefined ? undefined : await findOwn('lock', options.locked),
    work: options.work,
    fresh: options.fresh,
    installer: method === 'installer' ? await installerRecipe(distro, release, options) : undefined,
    cloud:
      method === 'cloud-image' ? await cloudRecipe(distro, release, options, format) : undefined,
  }
}

/** The recipe of an image that turned out to be of another date. */
export function datedRecipe(recipe: Recipe, at: Date): Recipe {
  const version = compactDay(at)
  const ending = `-${recipe.version}`
  const fileName = recipe.fileName.endsWith(ending)
    ? `${recipe.fileName.slice(0, -ending.length)}-${version}`
    : recipe.fileName
  return { ...recipe, at, version, fileName }
}
