/**
 * A recipe: one release with everything that the options decide, resolved and printable.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
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
import { defaultDisk, type DiskWishes } from '../disk/disk.ts'
import type { LayoutName } from '../disk/layout.ts'
import { cacheDirectory } from '../host/home.ts'
import type { LeftoverName } from '../hygiene/leftovers.ts'
import { mediaAt } from '../media/media-at.ts'
import type { ImageFormat } from '../targets/target.ts'
import { targetOf, type TargetName } from '../targets/targets.ts'
import { resolveVariables, type Variables } from '../targets/variables.ts'
import { checkArch, distroFor } from './arch.ts'
import type { ImageOptions, MethodName, WORK } from './image-options.ts'
import {
  type CloudRecipe,
  cloudRecipe,
  type InstallerRecipe,
  installerRecipe,
} from './machine-recipes.ts'
import { mirrorsOf } from './mirrors.ts'
import { findOwn } from './own-file.ts'
import { proxyVariables } from './proxy.ts'
import { formatFor, namesFor } from './shipping.ts'
import { compactDay, type Stamp } from './stamp.ts'

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
  /** Directory of this project's files for guests: the checkout, or a copy of these (copyInputs). */
  project: string
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
    project: fileURLToPath(new URL('../..', import.meta.url)),
    allowLeftovers: options['allow-leftover'],
    mirrors: mirrorsOf(distro, options),
    keyring: await ownKeyring(method, options),
    proxyEnv: proxyVariables(options.proxy, env),
    cache: resolve(options.cache ?? cacheDirectory(env)),
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
