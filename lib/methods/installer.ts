/**
 * Method installer: the vendor's own installer fills the disk, in a virtual machine.
 *
 * Its kernel and initrd are taken out of the medium and booted directly; the answers are in the initrd or
 * on a second CD. It is watched on the serial console to its power-off.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Distro } from '../../distros/distro.ts'
import { BuildError } from '../cli/errors.ts'
import { step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'
import { isPlainFile } from '../disk/disk.ts'
import { chooseHypervisor, hypervisorTools } from '../host/hypervisor.ts'
import { INSTALLER_TOOLS, TOOLS } from '../host/tools.ts'
import { mediumMaterial } from '../image/materials.ts'
import type { InstallerRecipe } from '../image/machine-recipes.ts'
import type { Recipe } from '../image/recipe.ts'
import { pointRelease } from '../image/updates.ts'
import { install } from '../machine/install.ts'
import type { Kernel } from '../machine/spec.ts'
import type { FetchOptions } from '../media/fetch.ts'
import { findGiven } from '../media/given.ts'
import { addToInitrd, writeTree } from '../media/initrd.ts'
import { extractFromIso, writeIso } from '../media/iso9660.ts'
import { findKeys } from '../media/keys.ts'
import { fetchMedia, type Media } from '../media/media.ts'
import { checkMedium, type Medium, readMedium } from '../media/medium.ts'
import {
  answerFiles,
  digestOfFiles,
  hasPackages,
  installerOf,
  kernelArguments,
} from './installer-answers.ts'
import { keepingSystems, machineSystemKey, onItsDay } from './kept-system.ts'
import type { Build, Filled, Host, Method } from './method.ts'
import { explainScript } from './script-failure.ts'
import { packInMachine } from './tar-disk.ts'

const wanted = (recipe: Recipe): InstallerRecipe => {
  if (recipe.installer) return recipe.installer
  throw new Error('The recipe has no installer')
}

const inMachine: Method = {
  tools(_distro, recipe) {
    const { curl, xorriso, cpio } = INSTALLER_TOOLS
    const machine = hypervisorTools(wanted(recipe).hypervisor)
    const keeping = isPlainFile(recipe.disk) ? [TOOLS.zstd] : []
    return [curl, xorriso, cpio, TOOLS.qemuImg, TOOLS.libdeflateGzip, ...keeping, ...machine]
  },
  async checkHost(recipe) {
    return { hypervisor: await chooseHypervisor(wanted(recipe).hypervisor) }
  },
  async fetch(build, report) {
    const media = await findMedia(build, { report }, build.recipe.offline)
    return { path: media.path, media }
  },
  async answers(build) {
    const { distro, recipe } = build
    const { packagesOnMedium } = installerOf(distro, recipe.release)
    const medium = packagesOnMedium && (await openMedium(build, await findMedia(build, {}, true)))
    const files = await answerFiles(distro, recipe, medium)
    const digest = await digestOfFiles(files)
    const place = join(recipe.cache, 'answers', `${recipe.name}-${digest.slice(0, 12)}`)
    await act(`write the answers to ${place}`, async () => {
      if (existsSync(place)) return
      const partial = `${place}.${process.pid}.partial`
      try {
        await makeParents(dirname(partial))
        // They hold the proxy's password, where it has one.
        await mkdir(partial, { mode: 0o700 })
        await writeTree(files, partial)
        await rename(partial, place)
      } finally {
        await rm(partial, { recursive: true, force: true })
      }
    })
    return place
  },
  async systemKey(build, options) {
    if (session.dryRun) return undefined
    const { distro } = build
    const recipe = onItsDay(build.recipe)
    const media = await mediaOf(build, options)
    const medium = await openMedium(build, media)
    const content = [
      await digestOfFiles(await answerFiles(distro, recipe, medium)),
      kernelArguments(distro, recipe, medium),
    ]
    const lists = !hasPackages(distro, recipe, medium)
    return machineSystemKey(build, media, content, { offline: recipe.offline, lists })
  },
  fill: (build, host, disk, options) => installOn(build, host, [disk], options),
  pack: (build, host, options) =>
    packInMachine(build, (disk, tar) => installOn(build, host, [disk, tar], options)),
}
export const installer = keepingSystems(inMachine)

/** @param disks the system's, and one for what is packed of it: the answers name the first */
async function installOn(
  build: Build,
  host: Host,
  disks: readonly string[],
  options: { fetched: boolean },
): Promise<Filled> {
  const { distro, recipe, scope, work } = build
  const { memoryMiB, cpus, vnc, limitSeconds } = wanted(recipe)
  const media = await mediaOf(build, options)
  const { kernel, cdroms } = await step('Write the answers', () => bootFiles(build, media))
  const serialLog = join(work, 'serial.log')
  const { phases, markers, question, complaint, limits } = installerOf(distro, recipe.release)
  await step('Install', (report) =>
    install(
      {
        name: recipe.name,
        hypervisor: host.hypervisor!,
        hardware: 'kvm',
        firmware: 'bios',
        memoryMiB,
        cpus,
        disks: disks.map((path) => ({ path, format: 'raw' })),
        cdroms: [media.path, ...cdroms],
        kernel,
        vnc,
      },
      {
        ...{ phases, markers, question, complaint, limits, totalSeconds: limitSeconds },
        explain: explainScript,
      },
      { scope, serialLog },
      report,
    ),
  )
  const upstream = pointRelease(recipe.release, media.name)
  return { serialLog, upstream, materials: [await mediumMaterial(media)] }
}

/** The medium that the stage fetch has brought, or that of the cache. */
const mediaOf = async (build: Build, { fetched }: { fetched: boolean }) =>
  build.media ?? findMedia(build, {}, build.recipe.offline || !fetched)

/** The medium, verified: the operator's, or the vendor's newest. */
async function findMedia(build: Build, options: FetchOptions, offline: boolean): Promise<Media> {
  const { distro, recipe } = build
  const { medium, key, pinned } = wanted(recipe)
  const cache = join(recipe.cache, 'media')
  const fetching = { ...options, env: recipe.proxyEnv, offline }
  if (medium) {
    const dry = { path: medium.iso, name: medium.iso, digest: undefined, from: medium.iso }
    return act<Media>(`find medium ${medium.iso}`, () => findGiven(medium, cache, fetching), dry)
  }
  const { key: source, ...media } = recipe.release.media
  const dry = { path: 'MEDIUM.iso', name: 'MEDIUM.iso', digest: undefined, from: media.roots[0]! }
  const name = `${distro.name}-${recipe.release.version}` // not the image's, which --name chooses
  const find = async () => {
    const trust = source && (await findKeys(source, key, cache, { ...fetching, option: '--key' }))
    return fetchMedia({ ...media, name, trust, pinned }, cache, fetching)
  }
  const where = media.roots.join(', ')
  return act<Media>(`find the newest ${media.file.source} in ${where}`, find, dry)
}

/** What is on the medium, which has to be the one that was asked for. */
async function openMedium({ recipe }: Build, media: Media): Promise<Medium | undefined> {
  if (session.dryRun) return undefined
  const medium = await readMedium(media.path)
  checkMedium(media.path, medium, recipe.release.identity ?? {}, recipe.title)
  return medium
}

/** Kernel and initrd of the medium, with the answers or a CD of them. */
async function bootFiles(
  build: Build,
  media: Media,
): Promise<{ kernel: Kernel; cdroms: string[] }> {
  const { distro, recipe, work, epochSeconds } = build
  const medium = await openMedium(build, media)
  const { carrier, boot } = installerOf(distro, recipe.release)
  const pair = medium ? bootPair(distro, boot, media, medium) : boot[0]!
  const kernel = join(work, 'kernel')
  const vendors = join(work, 'initrd.vendor')
  const taken = new Map([
    [pair.kernel, kernel],
    [pair.initrd, vendors],
  ])
  await act(`take ${[...taken.keys()].join(' and ')} out of ${media.path}`, () =>
    extractFromIso(media.path, taken),
  )
  const files = await answerFiles(distro, recipe, medium)
  const words = kernelArguments(distro, recipe, medium)
  if (carrier === 'initrd') {
    const initrd = join(work, 'initrd')
    await act(`add the answers to ${initrd}`, () =>
      addToInitrd(vendors, files, initrd, work, epochSeconds),
    )
    return { kernel: { kernel, initrd, arguments: words, medium: media.path }, cdroms: [] }
  }
  const iso = join(work, 'answers.iso')
  await act(`write the answers to ${iso}`, async () => {
    const tree = join(work, 'answers')
    await writeTree(files, tree)
    await writeIso(tree, iso, { label: carrier.cd, epochSeconds })
  })
  const booted = { kernel, initrd: vendors, arguments: words, medium: media.path }
  return { kernel: booted, cdroms: [iso] }
}

function bootPair(
  distro: Distro,
  boot: readonly { kernel: string; initrd: string }[],
  media: Media,
  { files }: Medium,
) {
  const pair = boot.find(({ kernel, initrd }) => files.has(kernel) && files.has(initrd))
  if (pair) return pair
  const choices = boot.map(({ kernel, initrd }) => `${kernel} with ${initrd}`).join(', or ')
  const some = [...files].filter((name) => /vmlinuz|linux|initrd/i.test(name)).slice(0, 6)
  throw new BuildError(
    `Cannot find ${distro.title}'s installer in "${media.path}": wanted is ${choices}`,
    {
      hint:
        some.length > 0
          ? `It has ${some.join(', ')}`
          : 'It has no kernel at all: is it the right ISO?',
    },
  )
}
