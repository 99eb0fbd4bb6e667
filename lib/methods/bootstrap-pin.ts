/**
 * What a system will be made of, decided before it is made: packages by version and digest, from the lists of a
 * mirror as they are now or from the lock of an earlier build, and the date of everything.
 */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { architectures } from '../../distros/architectures.ts'
import type { Mirror } from '../../distros/distro.ts'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { step } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'
import { toolVersions } from '../host/versions.ts'
import { listMaterials, type Material, sourcesOfMaterials } from '../image/materials.ts'
import { snapshotMirror } from '../image/snapshot.ts'
import { givenEpoch } from '../image/stamp.ts'
import { withLock } from '../host/lock.ts'
import { type Apt, prepareApt, splitLogin } from '../packages/apt.ts'
import { choosePackages } from '../packages/choose.ts'
import { checkLockFits, packagesDigest, type PackageLock, readLock } from '../packages/lock.ts'
import { fetchPackages, missingFrom, newestOf, salvage } from '../packages/store.ts'
import { builderMode, keyringOf, packagesOf } from './bootstrap-host.ts'
import { chooseOnce } from './earlier-choice.ts'
import type { Build, Pin } from './method.ts'
import { defaultSourcesWords, signedBy, sourceLines } from './mmdebstrap.ts'
import { mmdebstrapError, releaseIsGone } from './mmdebstrap-output.ts'

/** Everything of this release in the cache; lists of one architecture are of no use to another. */
const cacheOf = ({ distro, recipe }: Build) =>
  join(
    recipe.cache,
    'packages',
    `${distro.name}-${recipe.release.codename}${architectures[recipe.arch].suffix}`,
  )

/** The sources of a mirror, as apt reads them. */
async function sourcesOf({ distro, recipe, work }: Build, mirror: Mirror): Promise<string[]> {
  const { components } = packagesOf(distro)
  const { codename } = recipe.release
  if (mirror.main !== undefined) return sourceLines({ codename, components, mirror })
  const mode = builderMode()
  const words = defaultSourcesWords(mode, codename, components)
  // What it leaves when it is ended goes with the build. The users of a name space can't get at that place.
  const env: Record<string, string> = mode === 'root' ? { TMPDIR: work } : {}
  const { stdout, stderr } = await $({ nothrow: true, bare: true, env })`${words}`
  const output = `${stdout}\n${stderr}` // what a hook prints comes on either
  const lines = output.split('\n').filter((line) => line.startsWith('deb '))
  if (lines.length === 0 && !session.dryRun) throw mmdebstrapError(output)
  return lines
}

type Lists = { apt: Apt; sources: string[]; lists: string }

/** Without the cache of what the lists say: who chooses packages makes it, if they have to be chosen anew. */
const UPDATE = ['update', '--option=pkgCacheFile::Generate=false']

/** apt with the lists of the first mirror that has the release. */
async function openLists(build: Build, directory: string, offline: boolean): Promise<Lists> {
  const { recipe } = build
  const keyring = await keyringOf(build, offline)
  for (const [i, mirror] of recipe.mirrors.entries()) {
    const last = i + 1 === recipe.mirrors.length
    const sources = await sourcesOf(build, mirror)
    const name = createHash('sha256').update(sources.join('\n')).digest('hex').slice(0, 8)
    const lists = join(cacheOf(build), `lists-${name}`)
    const place = { directory, lists, arch: recipe.arch, proxyEnv: recipe.proxyEnv }
    const signed = sources.map((source) => signedBy(source, keyring))
    const apt = await prepareApt({ ...place, sources: signed })
    if (offline) {
      const there = await readdir(lists).catch(() => [])
      if (session.dryRun || there.some((one) => one.endsWith('Packages'))) {
        return { apt, sources, lists }
      }
      if (!last) continue
      throw new BuildError(`Cannot choose packages: the cache has no lists of ${recipe.title}`, {
        hint: 'Run the stage fetch, or once without --offline, with the same --mirror',
      })
    }
    await act(`make ${lists}`, () => makeParents(join(lists, 'partial')))
    const { exitCode, stdout, stderr } = await apt({ nothrow: true })`apt-get ${UPDATE}`
    const output = `${stdout}\n${stderr}`
    // apt takes a list that it can't renew for a warning.
    if (exitCode === 0 && !/^(W: Failed to fetch|Err:)/m.test(output)) {
      return { apt, sources, lists }
    }
    if (last || !releaseIsGone(output)) throw mmdebstrapError(output)
    log.warn(
      `${recipe.release.codename} is gone from that mirror: trying ${recipe.mirrors[i + 1]!.main}`,
    )
  }
  throw new Error('A recipe without a mirror')
}

/** Packages, and by what they are had. */
type Choice = Lists & { lock: PackageLock; materials: Material[] }

/** Choose from the mirror's lists. */
async function choose(build: Build, offline: boolean): Promise<Choice> {
  const { distro, recipe, scope } = build
  const directory = await scope.tempDir(`${recipe.name}-apt`)
  // One at a time: apt refuses lists that another one reads in.
  const lock = join(cacheOf(build), 'lists')
  const alone = session.dryRun ? <T>(_: string, work: () => Promise<T>) => work() : withLock
  return alone(lock, async () => {
    const { apt, sources, lists } = await openLists(build, directory, offline)
    const materials = await listMaterials(sources, lists)
    const about = {
      lock: 1 as const,
      distro: distro.name,
      release: recipe.release.version,
      arch: recipe.arch,
      epoch: 0, // told below, when the packages are there
      requested: recipe.packages.toSorted(),
      sources: sourcesOfMaterials(materials),
      tools: {},
    }
    const made = await chooseOnce(build.stages, about, sources, async () => ({
      ...about,
      ...(await choosePackages(apt, recipe.packages, mmdebstrapError)),
    }))
    return { apt, sources, lists, lock: made, materials }
  })
}

/** Take what a lock says. */
async function takeLocked(build: Build, path: string): Promise<Choice> {
  const { distro, recipe, scope } = build
  const lock = await readLock(path)
  checkLockFits(
    lock,
    {
      distro: distro.name,
      release: recipe.release.version,
      arch: recipe.arch,
      requested: recipe.packages,
    },
    path,
  )
  const directory = await scope.tempDir(`${recipe.name}-apt`)
  const lists = join(directory, 'lists')
  const sources = await sourcesOf(build, recipe.mirrors[0]!)
  const { arch, proxyEnv } = recipe
  const apt = await prepareApt({ directory, lists, arch, proxyEnv, sources })
  await act(`make ${lists}`, () => makeParents(lists))
  const materials = lock.sources.map(({ uri, suite, date, sha256 }) => ({
    name: `${suite} InRelease`,
    uri,
    ...(sha256 !== undefined && { digest: { sha256 } }),
    ...(date !== undefined && { annotations: { date } }),
  }))
  return { apt, sources, lists, lock, materials }
}

type Address = (one: { uri: string }) => string | undefined

const ownAddress: Address = ({ uri }) => uri

/** Where a lock's packages may be: at the operator's mirror, where they were, and where old states are kept. */
export function placesOf(
  build: Pick<Build, 'distro' | 'recipe'>,
  lock: Pick<PackageLock, 'sources'>,
): Address[] {
  const { distro, recipe } = build
  const pool = (uri: string) => /\/(pool\/.*)$/.exec(uri)?.[1]
  const isSecurity = (uri: string) => /security/.test(uri)
  const [mirror] = recipe.mirrors
  const at =
    (base: Mirror | undefined): Address =>
    ({ uri }) => {
      const root = isSecurity(uri) ? (base?.security ?? base?.main) : base?.main
      const path = pool(uri)
      if (root === undefined || path === undefined) return undefined
      return splitLogin(`${root}/${path}`).source // apt has the login of the source, in a file
    }
  const date = lock.sources.map((one) => Date.parse(one.date ?? '')).filter((ms) => ms > 0)
  const { snapshots } = packagesOf(distro)
  const old =
    snapshots && date.length > 0
      ? snapshotMirror(snapshots, new Date(Math.max(...date)))
      : undefined
  return [at(mirror), ownAddress, at(old)]
}

/** Warn where another machine's programs may make other bytes of the same packages. */
function compareTools(lock: PackageLock, tools: Record<string, string>, path: string) {
  const differ = Object.entries(tools).filter(
    ([name, version]) => lock.tools[name] !== undefined && lock.tools[name] !== version,
  )
  if (differ.length === 0) return
  const list = differ.map(([name, version]) => `${name} ${lock.tools[name]} (here ${version})`)
  log.warn(`"${path}" was made with ${list.join(', ')}: the image may differ`)
}

/**
 * Decide, and fetch what the cache has not.
 *
 * @returns with --dry-run one without packages
 * @throws {BuildError} in apt's words
 */
export async function pinPackages(
  build: Build,
  { fetched }: { fetched: boolean },
  tools: Parameters<typeof toolVersions>[0],
): Promise<Pin> {
  const { recipe, scope } = build
  const offline = recipe.offline || !fetched
  const { locked } = recipe
  // While apt is at work, which takes one processor.
  const asked = toolVersions(tools)
  asked.catch(() => {}) // told where it is awaited
  const chosen = await step('Choose packages', () =>
    locked === undefined ? choose(build, offline) : takeLocked(build, locked),
  )
  const { apt, sources, lists, lock, materials } = chosen
  const store = join(cacheOf(build), 'archives')
  if (!session.dryRun) await salvage(store, lock.packages)
  const missing = await missingFrom(store, lock.packages)
  // Who asks for the stage "image" alone has fetched, perhaps with other options: what lacks is brought.
  if (missing.length > 0 && recipe.offline) {
    throw new BuildError(
      `Cannot build ${recipe.name} offline: the cache lacks ${missing.length} of ${lock.packages.length} packages, ${missing[0]!.name} among them`,
      { hint: 'Run once without --offline' },
    )
  }
  if (missing.length > 0) {
    const places = locked === undefined ? [ownAddress] : placesOf(build, lock)
    await step('Fetch packages', (report) =>
      fetchPackages(missing, { apt, scope, store, places, explainApt: mmdebstrapError }, report),
    )
  }
  const versions = await asked
  if (locked !== undefined) compareTools(lock, versions, locked)
  const dated = session.dryRun ? undefined : await newestOf(store, lock.packages)
  const newest = dated ?? build.epochSeconds
  const epoch = givenEpoch() ?? (locked === undefined ? newest : lock.epoch)
  return { lock: { ...lock, epoch, tools: versions }, newest, store, sources, lists, materials }
}

/** What is derived from a pin's packages: identifiers of the disk, which every build of these has. */
export const seedOf = ({ recipe }: Build, lock: PackageLock) =>
  [
    recipe.name,
    recipe.release.version,
    recipe.arch,
    recipe.target,
    recipe.layout,
    packagesDigest(lock),
  ].join('/')
