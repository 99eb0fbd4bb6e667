/**
 * Method bootstrap: fills a disk from a package mirror, without a virtual machine.
 *
 * mmdebstrap installs the packages into a directory (or, for a user who is not root, a tar file),
 * the guest's set-up scripts run inside it, and the result becomes the root file system. Downloads
 * are kept in a cache, so that the next build needs the network for the package lists only.
 */
import { existsSync } from 'node:fs'
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { architectures } from '../../distros/architectures.ts'
import type { Arch, Distro, Mirror } from '../../distros/distro.ts'
import { log } from '../cli/log.ts'
import { type Report, step } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import {
  type BootFiles,
  type DiskTimes,
  installBootLoaders,
  mkfsRootEnv,
  mkfsRootWords,
  partitionDisk,
} from '../disk/assemble.ts'
import { makeParents } from '../disk/directories.ts'
import { type Layout, makeLayout } from '../disk/layout.ts'
import { ensureForeign, foreignTools } from '../host/foreign.ts'
import { INSTALLER_TOOLS, type Tool, TOOLS } from '../host/tools.ts'
import { checkUserNamespaces } from '../host/user-namespaces.ts'
import { listMaterials } from '../image/materials.ts'
import type { Recipe } from '../image/recipe.ts'
import { findKeys } from '../media/keys.ts'
import { pinnedKeyring } from '../media/signature.ts'
import { guestOf, STAGING } from './guest.ts'
import type { Build, Method } from './method.ts'
import { type Bootstrap, fetchWords, mmdebstrapWords, type Mode } from './mmdebstrap.ts'
import { followMmdebstrap, mmdebstrapError, releaseIsGone } from './mmdebstrap-output.ts'
import { rootTarWords } from './root-tar.ts'

/** What only a user who is not root needs. */
const builder = (): Mode => (process.getuid?.() === 0 ? 'root' : 'unshare')

/** The method, in the stages that every method has. */
export const bootstrap: Method = {
  tools(distro, recipe) {
    const { newuidmap, ...tools } = TOOLS
    return [
      ...Object.values(tools),
      ...(builder() === 'unshare' ? [newuidmap] : []),
      ...foreignTools(recipe.arch),
      ...keyringTools(distro, recipe),
    ]
  },
  async checkHost(recipe, { install }) {
    if (builder() === 'unshare' && !session.dryRun) await checkUserNamespaces()
    await ensureForeign(recipe.arch, { install })
    return {}
  },
  async fetch(build, report) {
    if (builder() === 'unshare') await prepareNamespace(build.scope, build.work)
    await fetchPackages(fillOptions(build, undefined, await findKeyring(build)), report)
    return packageCache(build)
  },
  async answers() {
    return undefined // there is no installer that could ask
  },
  async fill(build, _host, disk, { fetched }) {
    const { distro, recipe, scope, work } = build
    const layout = layoutOf(build)
    const times = { epoch: build.epochSeconds }
    if (builder() === 'unshare') await prepareNamespace(scope, work)
    const offline = recipe.offline || !fetched
    const options = fillOptions(build, layout, await findKeyring(build, offline))
    const spec = { ...options.spec, offline }
    const tree = await step('Install packages', (report) =>
      installPackages({ ...options, spec }, report),
    )
    await step('Make the disk', async () => {
      await partitionDisk(disk, layout, times)
      await fillRoot(tree, disk, layout, times)
      await installBootLoaders(disk, layout, tree.bootFiles, times)
    })
    return { upstream: await pointOf(distro, work), ...(await heardOf(tree, spec)) }
  },
  async pack(build, _host, { fetched }) {
    const { distro, recipe, scope, work, epochSeconds } = build
    if (builder() === 'unshare') await prepareNamespace(scope, work)
    const offline = recipe.offline || !fetched
    const options = fillOptions(build, undefined, await findKeyring(build, offline))
    const spec = { ...options.spec, offline }
    const tree = await step('Install packages', (report) =>
      installPackages({ ...options, spec }, report),
    )
    const tar = join(work, 'image.tar')
    await step('Pack the system', () => packRoot(tree, tar, epochSeconds))
    return { tar, upstream: await pointOf(distro, work), ...(await heardOf(tree, spec)) }
  },
}

const layoutOf = ({ recipe, seed }: Build) =>
  makeLayout(recipe.layout, recipe.disk.bytes, seed, architectures[recipe.arch].bios)

/** The point release that the new system says it is. */
async function pointOf(distro: Distro, work: string): Promise<string | undefined> {
  if (session.dryRun) return undefined
  const text = await readFile(join(work, 'point'), 'utf8')
  return packagesOf(distro).point.pattern.exec(text)?.[1]
}

/** What the output tells: packages, and the mirror's lists that they are from. */
async function heardOf({ output }: RootTree, { cache, codename }: FillOptions['spec']) {
  return { output, materials: await listMaterials(output, cache.lists, codename) }
}

function packagesOf({ title, bootstrap }: Distro) {
  if (bootstrap) return bootstrap
  throw new Error(`${title} has no method bootstrap`)
}

/** What this machine needs so that packages can be checked. */
function keyringTools(distro: Distro, recipe: Recipe): Tool[] {
  const { keyring } = packagesOf(distro)
  if (recipe.keyring !== undefined) return []
  if (!('apt' in keyring)) return existsSync(keyring.file) ? [] : [INSTALLER_TOOLS.curl]
  const why = `holds the keys that sign ${distro.title}'s packages`
  return [{ name: keyring.file, apt: keyring.apt, why }]
}

/** The keys that packages are checked with: the operator's, this machine's, or the vendor's, fetched once. */
async function findKeyring({ distro, recipe }: Build, offline = recipe.offline): Promise<string> {
  const { keyring } = packagesOf(distro)
  if (recipe.keyring !== undefined) return recipe.keyring
  if ('apt' in keyring || existsSync(keyring.file)) return keyring.file
  const cache = join(recipe.cache, 'media')
  const place = join(cache, 'keys', basename(keyring.file))
  const [fingerprint] = keyring.fingerprints
  await act(`write ${distro.title}'s key ${fingerprint} to ${place}`, async () => {
    const trust = await findKeys(keyring, undefined, cache, { env: recipe.proxyEnv, offline })
    const partial = `${place}.${process.pid}.partial`
    try {
      await writeFile(partial, await pinnedKeyring(trust))
      await rename(partial, place)
    } finally {
      await rm(partial, { force: true })
    }
  })
  return place
}

const packageCache = ({ distro, recipe }: Build) =>
  join(
    recipe.cache,
    'packages',
    // Package lists of one architecture are of no use to another.
    `${distro.name}-${recipe.release.codename}${architectures[recipe.arch].suffix}`,
  )

/** @param layout undefined: the system is on no disk, and brings no boot loader */
function fillOptions(build: Build, layout: Layout | undefined, keyring: string): FillOptions {
  const { distro, recipe } = build
  const cache = packageCache(build)
  const { components, efiVendor, initramfs, bootLoader, point } = packagesOf(distro)
  const ids = {
    root: layout?.root.fsUuid ?? '',
    rootDevice: layout?.root.device ?? '',
    // FAT's short volume id, as blkid and fstab write it
    esp: layout?.esp.volumeId.toUpperCase().replace(/^(.{4})/, '$1-') ?? '',
  }
  return {
    work: build.work,
    spec: {
      mode: builder(),
      arch: recipe.arch,
      codename: recipe.release.codename,
      components,
      keyring,
      include: recipe.packages,
      cache: { archives: join(cache, 'archives'), lists: join(cache, 'lists') },
      offline: recipe.offline,
      guest: guestOf(distro, recipe, layout ? [initramfs, bootLoader] : [initramfs], ids),
    },
    mirrors: recipe.mirrors,
    efiVendor,
    hasBootLoader: layout !== undefined,
    point: point.file,
    proxyEnv: recipe.proxyEnv,
  }
}

/** What a filled root is: a directory for root, a tar file otherwise. */
export type RootTree = {
  kind: 'directory' | 'tar'
  path: string
  bootFiles: BootFiles
  /** What was printed while it was filled. */
  output: string
}

export type FillOptions = {
  work: string
  spec: Omit<Bootstrap, 'mirror' | 'target' | 'download'>
  /** Tried in turn until one has the release. */
  mirrors: readonly Mirror[]
  efiVendor: string
  /** Are there files for boot partitions? */
  hasBootLoader: boolean
  /** File of the new system that says which point release it is. */
  point: string
  /** Proxy for http and https, for the package manager and the operator's script. */
  proxyEnv: Readonly<Record<string, string>>
}

/** Files that the boot partitions need, as `guest path → name in the work directory`. */
export function bootFiles(work: string, arch: Arch, efiVendor: string) {
  const host = (name: string) => join(work, name)
  const { bios, efi } = architectures[arch]
  const [shim, mokManager, grub] = ['shim', 'mm', 'grub'].map((name) => `${name}${efi.suffix}.efi`)
  const download = [
    ...(bios ? ['boot.img', 'core.img'] : []).map((name) => ({
      from: join('/boot/grub/i386-pc', name),
      to: host(name),
    })),
    ...[shim!, mokManager!, grub!, 'grub.cfg'].map((name) => ({
      from: join(STAGING, 'esp', name),
      to: host(name),
    })),
  ]
  const files: BootFiles = {
    ...(bios && { bios: { boot: host('boot.img'), core: host('core.img') } }),
    esp: {
      // The removable path needs no entry in the firmware's memory, which an image can't bring.
      [`EFI/BOOT/${efi.removable}`]: host(shim!),
      [`EFI/BOOT/${grub}`]: host(grub!),
      [`EFI/BOOT/${mokManager}`]: host(mokManager!),
      [`EFI/${efiVendor}/grub.cfg`]: host('grub.cfg'),
    },
  }
  return { download, files }
}

/**
 * Install and set up the system.
 *
 * @throws {BuildError} with the package manager's or the script's own words
 */
export async function installPackages(options: FillOptions, report: Report): Promise<RootTree> {
  const { work, spec, point, hasBootLoader, efiVendor } = options
  const { download: boot, files } = bootFiles(work, spec.arch, efiVendor)
  const download = [{ from: point, to: join(work, 'point') }, ...(hasBootLoader ? boot : [])]
  const kind = spec.mode === 'root' ? 'directory' : 'tar'
  const target = join(work, kind === 'directory' ? 'root' : 'root.tar')
  const output = await runMmdebstrap(options, target, report, (mirror) =>
    mmdebstrapWords({ ...spec, mirror, target, download }),
  )
  return { kind, path: target, bootFiles: files, output }
}

/**
 * Bring all packages into the cache, for builds that use it alone.
 *
 * @throws {BuildError} with the package manager's own words
 */
export async function fetchPackages(options: FillOptions, report: Report): Promise<void> {
  const { spec } = options
  const target = join(options.work, 'unused')
  await runMmdebstrap(options, target, report, (mirror) => fetchWords({ ...spec, mirror }))
}

/** Run it on one mirror after the other, until one has the release; what it printed then. */
async function runMmdebstrap(
  { work, spec, mirrors, proxyEnv }: FillOptions,
  target: string,
  report: Report,
  wordsFor: (mirror: Mirror) => string[],
): Promise<string> {
  await act(`make the package cache ${spec.cache.archives}`, async () => {
    await makeParents(spec.cache.archives)
    await makeParents(spec.cache.lists)
  })
  for (const [i, mirror] of mirrors.entries()) {
    const follow = followMmdebstrap()
    const { exitCode, stdout, stderr } = await $({
      nothrow: true,
      // INITRD=No: a kernel's own hook makes no initramfs, the boot loader's script does it once.
      env: { ...proxyEnv, TMPDIR: work, INITRD: 'No' },
      onLine: (line) => {
        const news = follow(line)
        if (news) report(...news)
      },
    })`${wordsFor(mirror)}`
    const output = `${stdout}\n${stderr}`
    if (exitCode === 0) return output
    if (!releaseIsGone(output) || i + 1 === mirrors.length) throw mmdebstrapError(output)
    log.warn(`${spec.codename} is gone from that mirror: trying ${mirrors[i + 1]!.main}`)
    await rm(target, { recursive: true, force: true })
  }
  return '' // every recipe has a mirror
}

/**
 * In a user name space: let its users pass through the work directory, and take away at the end what
 * belongs to them, which the user outside may not.
 */
export async function prepareNamespace(scope: Scope, work: string): Promise<void> {
  await act(`let other users pass through ${work}`, () => chmod(work, 0o711))
  scope.defer(`Remove what is left in ${work}`, async () => {
    if (session.keep) return
    await $({
      undo: true,
    })`unshare --user --map-root-user --map-auto -- find ${work} -mindepth 1 -delete`
  })
}

/** Put the tree into the root file system of the disk, and remove it. */
export async function fillRoot(tree: RootTree, disk: string, layout: Layout, times: DiskTimes) {
  const env = mkfsRootEnv(times)
  if (tree.kind === 'directory') {
    await $({ env })`${mkfsRootWords(disk, layout, tree.path)}`
    if (!session.keep) await act(`remove ${tree.path}`, () => rm(tree.path, { recursive: true }))
    return
  }
  await inUnpacked(tree.path, (directory) => mkfsRootWords(disk, layout, directory), env)
}

/** Pack the tree as a root tar, and remove it. The same tree gives the same bytes. */
async function packRoot(tree: RootTree, tar: string, epochSeconds: number) {
  if (tree.kind === 'tar') {
    log.warn('ACLs that were set in the new system are lost: mmdebstrap keeps them for root only')
    await inUnpacked(tree.path, (directory) => rootTarWords(directory, tar, epochSeconds))
    return
  }
  await $`${rootTarWords(tree.path, tar, epochSeconds)}`
  if (!session.keep) await act(`remove ${tree.path}`, () => rm(tree.path, { recursive: true }))
}

/**
 * Run a command on the tree of a tar file, and remove the file. Owners other than the user exist only inside
 * a name space: unpack, run and remove in one. Device nodes can't be made in there, and every boot makes
 * them anew.
 */
async function inUnpacked(
  tar: string,
  wordsFor: (directory: string) => string[],
  env: Record<string, string> = {},
) {
  const script =
    'set -e; directory=$1; tar=$2; shift 2; mkdir "$directory"; ' +
    'trap \'rm -rf "$directory"\' EXIT; ' +
    'tar --extract --exclude="./dev/*" --numeric-owner --acls --xattrs --xattrs-include="*" --file "$tar" --directory "$directory"; "$@"'
  const directory = `${tar}.d`
  await $({
    env,
  })`unshare --user --map-root-user --map-auto -- sh -c ${[script]} sh ${directory} ${tar} ${wordsFor(directory)}`
  if (!session.keep) await act(`remove ${tar}`, () => rm(tar))
}
