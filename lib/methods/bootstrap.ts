/**
 * Method bootstrap: fills a disk from a package mirror, without a virtual machine.
 *
 * The packages are chosen and fetched first (bootstrap-pin.ts). mmdebstrap installs them into a directory (or, for
 * a user who is not root, a tar file), the guest's set-up scripts run inside it (bootstrap-tree.ts), and the
 * result becomes the root file system.
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { architectures } from '../../distros/architectures.ts'
import { log } from '../cli/log.ts'
import { step } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import {
  type DiskTimes,
  installBootLoaders,
  mkfsRootEnv,
  mkfsRootWords,
  partitionDisk,
} from '../disk/assemble.ts'
import { dateInodes } from '../disk/inode-times.ts'
import { type Layout, makeLayout } from '../disk/layout.ts'
import { forgetWrites } from '../disk/superblocks.ts'
import { ensureForeign } from '../host/foreign.ts'
import { checkUserNamespaces } from '../host/user-namespaces.ts'
import { bootstrapTools, builderMode } from './bootstrap-host.ts'
import { pinPackages, seedOf } from './bootstrap-pin.ts'
import { makeTree, type RootTree, treeKeys, useTree } from './bootstrap-tree.ts'
import type { Build, Filled, Method } from './method.ts'
import { rootTarWords } from './root-tar.ts'

/** The method, in the stages that every method has. */
export const bootstrap: Method = {
  tools: bootstrapTools,
  async checkHost(recipe, { install }) {
    if (builderMode() === 'unshare' && !session.dryRun) await checkUserNamespaces()
    await ensureForeign(recipe.arch, { install })
    return {}
  },
  async fetch(build) {
    const { distro, recipe } = build
    const pin = await pinPackages(build, { fetched: true }, bootstrapTools(distro, recipe))
    return { path: pin.store }
  },
  async answers() {
    return undefined // there is no installer that could ask
  },
  pin(build, options) {
    const { distro, recipe } = build
    return pinPackages(build, options, bootstrapTools(distro, recipe))
  },
  seed: (build, { lock }) => seedOf(build, lock),
  async systemKey(build) {
    const hasDisk = build.recipe.format !== 'tgz'
    return (await treeKeys(build, hasDisk ? layoutOf(build) : undefined))?.system
  },
  async fill(build, _host, disk, { fetched }) {
    const { recipe, scope, work } = build
    const layout = layoutOf(build)
    const times = { epoch: build.epochSeconds }
    if (builderMode() === 'unshare') await prepareNamespace(scope, work)
    const tree = await makeTree(build, layout, { offline: recipe.offline || !fetched })
    await step('Make the disk', async () => {
      await partitionDisk(disk, layout, times)
      await fillRoot(tree, disk, layout, times)
      await dateInodes(disk, layout.root.offset, times.epoch, mkfsRootEnv(times))
      await forgetWrites(disk, layout.root.offset)
      await installBootLoaders(disk, layout, tree.bootFiles, times)
    })
    return heardOf(tree, build)
  },
  async pack(build, _host, { fetched }) {
    const { recipe, scope, work, epochSeconds } = build
    if (builderMode() === 'unshare') await prepareNamespace(scope, work)
    const tree = await makeTree(build, undefined, { offline: recipe.offline || !fetched })
    const tar = join(work, 'image.tar')
    await step('Pack the system', () => packRoot(tree, tar, epochSeconds))
    return { tar, ...heardOf(tree, build) }
  },
}

const layoutOf = ({ recipe, seed }: Build) =>
  makeLayout(recipe.layout, recipe.disk.bytes, seed, architectures[recipe.arch].bios)

/** What the output tells, and what it was made of. */
const heardOf = ({ output, upstream, forget }: RootTree, { pin }: Build): Filled => ({
  forget,
  output,
  upstream,
  materials: pin?.materials ?? [],
})

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
async function fillRoot(tree: RootTree, disk: string, layout: Layout, times: DiskTimes) {
  await useTree(tree, (directory) => mkfsRootWords(disk, layout, directory), mkfsRootEnv(times))
}

/** Pack the tree as a root tar, and remove it. The same tree gives the same bytes. */
async function packRoot(tree: RootTree, tar: string, epochSeconds: number) {
  if (tree.kind === 'tar') {
    log.warn('ACLs that were set in the new system are lost: mmdebstrap keeps them for root only')
  }
  await useTree(tree, (directory) => rootTarWords(directory, tar, epochSeconds))
}
