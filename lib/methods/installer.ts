/**
 * Method installer: the vendor's own installer fills the disk, in a virtual machine.
 *
 * Its kernel and initrd are taken out of the medium and booted directly; the answers, and the guest's
 * set-up scripts, are in the initrd. It is watched on the serial console to its power-off.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import type { Distro } from '../../distros/distro.ts'
import { BuildError, UsageError } from '../cli/errors.ts'
import { step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { makeParents } from '../disk/directories.ts'
import { chooseAccelerator } from '../host/accelerator.ts'
import { findQemu } from '../host/qemu.ts'
import { INSTALLER_TOOLS, MACHINE_TOOLS, TOOLS } from '../host/tools.ts'
import type { InstallerRecipe, Recipe } from '../image/recipe.ts'
import { install, INSTALL_NIC } from '../machine/install.ts'
import type { Kernel } from '../machine/qemu.ts'
import { findGiven } from '../media/given.ts'
import { addToInitrd, type InitrdFile, writeTree } from '../media/initrd.ts'
import { extractFromIso, listIso } from '../media/iso9660.ts'
import { findKeys } from '../media/keys.ts'
import { fetchMedia, type Media } from '../media/media.ts'
import type { FetchOptions } from '../media/fetch.ts'
import { type AnswerValues, fillAnswers } from './answers.ts'
import { guestAddress } from './guest-address.ts'
import { guestOf, stagedGuest } from './guest.ts'
import type { Build, Method } from './method.ts'

const project = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Where the answers keep the guest's set-up in the initrd. */
const GUEST = 'hybrid-images/guest'

const wanted = (recipe: Recipe): InstallerRecipe => {
  if (recipe.installer) return recipe.installer
  throw new Error('The recipe has no installer')
}

export const installer: Method = {
  tools(_distro, recipe) {
    const { curl, xorriso, cpio } = INSTALLER_TOOLS
    const { qemu, seabios, timeout, setpriv, qemuImg } = MACHINE_TOOLS
    const given = wanted(recipe).qemu
    const present = findQemu(given)
    return [
      ...[curl, xorriso, cpio, timeout, setpriv, qemuImg, TOOLS.libdeflateGzip],
      ...(present === undefined ? [qemu] : []),
      ...(present === undefined || present.endsWith('/qemu-system-x86_64') ? [seabios] : []),
    ]
  },
  async checkHost(recipe) {
    const { accel, qemu: given } = wanted(recipe)
    const qemu = findQemu(given)
    // A trial of KVM takes seconds, and is no part of what would be done.
    const choice = session.dryRun && accel === 'auto' ? 'tcg' : accel
    return { machine: { qemu, accelerator: await chooseAccelerator(choice, { qemu }) } }
  },
  async fetch(build, report) {
    const media = await findMedia(build, { report }, build.recipe.offline)
    return media.path
  },
  async answers({ distro, recipe }) {
    const files = await answerFiles(distro, recipe)
    const digest = await digestOfFiles(files)
    const place = join(recipe.cache, 'answers', `${recipe.name}-${digest.slice(0, 12)}`)
    await act(`write the answers to ${place}`, async () => {
      if (existsSync(place)) return
      const partial = `${place}.${process.pid}.partial`
      try {
        await makeParents(partial)
        await writeTree(files, partial)
        await rename(partial, place)
      } finally {
        await rm(partial, { recursive: true, force: true })
      }
    })
    return place
  },
  async fill(build, host, disk, { fetched }) {
    const { distro, recipe, scope, work } = build
    const { memoryMiB, cpus, vnc, limitSeconds } = wanted(recipe)
    const media = await findMedia(build, {}, recipe.offline || !fetched)
    const kernel = await step('Write the answers', () => bootFiles(build, media))
    await act(`make ${disk} of ${recipe.diskBytes} bytes`, async () => {
      await writeFile(disk, '')
      await truncate(disk, recipe.diskBytes)
    })
    const serialLog = join(work, 'serial.log')
    const { phases, markers, question, complaint, limits } = distro.installer
    await step('Install', (report) =>
      install(
        {
          name: recipe.name,
          ...host.machine!,
          hardware: 'kvm',
          firmware: 'bios',
          memoryMiB,
          cpus,
          disks: [{ path: disk, format: 'raw' }],
          cdroms: [media.path],
          kernel,
          vnc,
        },
        { phases, markers, question, complaint, limits, totalSeconds: limitSeconds },
        { scope, serialLog },
        report,
      ),
    )
    return { serialLog }
  },
}

/** The medium, verified: the operator's, or the vendor's newest. */
async function findMedia(build: Build, options: FetchOptions, offline: boolean): Promise<Media> {
  const { recipe } = build
  const { medium, key, pinned } = wanted(recipe)
  const cache = join(recipe.cache, 'media')
  const fetching = { ...options, env: recipe.proxyEnv, offline }
  if (medium) {
    const dry = { path: medium.iso, name: medium.iso, digest: undefined, from: medium.iso }
    return act<Media>(`find medium ${medium.iso}`, () => findGiven(medium, cache, fetching), dry)
  }
  const { key: source, ...media } = recipe.release.media
  const dry = { path: 'MEDIUM.iso', name: 'MEDIUM.iso', digest: undefined, from: media.roots[0]! }
  const find = async () => {
    const trust = source && (await findKeys(source, key, cache, fetching))
    return fetchMedia({ ...media, name: recipe.name, trust, pinned }, cache, fetching)
  }
  const where = media.roots.join(', ')
  return act<Media>(`find the newest ${media.file.source} in ${where}`, find, dry)
}

/** Kernel and initrd of the medium, with the answers. */
async function bootFiles(build: Build, media: Media): Promise<Kernel> {
  const { distro, recipe, work } = build
  const pair = await bootPair(distro, media)
  const kernel = join(work, 'kernel')
  const vendors = join(work, 'initrd.vendor')
  const initrd = join(work, 'initrd')
  const taken = new Map([
    [pair.kernel, kernel],
    [pair.initrd, vendors],
  ])
  await act(`take ${[...taken.keys()].join(' and ')} out of ${media.path}`, () =>
    extractFromIso(media.path, taken),
  )
  const files = await answerFiles(distro, recipe)
  await act(`add the answers to ${initrd}`, () =>
    addToInitrd(vendors, files, initrd, work, build.epochSeconds),
  )
  return { kernel, initrd, arguments: distro.installer.kernelArguments }
}

async function bootPair(distro: Distro, media: Media) {
  const { boot } = distro.installer
  if (session.dryRun) return boot[0]!
  const there = new Set(await listIso(media.path))
  const pair = boot.find(({ kernel, initrd }) => there.has(kernel) && there.has(initrd))
  if (pair) return pair
  const choices = boot.map(({ kernel, initrd }) => `${kernel} with ${initrd}`).join(', or ')
  const some = [...there].filter((name) => /vmlinuz|linux|initrd/i.test(name)).slice(0, 6)
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

/** Everything that goes into the initrd. */
export async function answerFiles(distro: Distro, recipe: Recipe): Promise<InitrdFile[]> {
  const { answers, layouts, bootLoader } = distro.installer
  const values = answerValues(distro, recipe)
  const files = await Promise.all(
    answers.map(async ({ to, from, mode }): Promise<InitrdFile> => {
      const templates = to === layouts.into ? [...from, layouts[recipe.layout]] : from
      const texts = await Promise.all(
        templates.map(async (name) =>
          fillAnswers(await readFile(project(`distros/${name}`), 'utf8'), values, name),
        ),
      )
      const own = wanted(recipe).answers
      if (to === layouts.into && own !== undefined) texts.push(await readFile(own, 'utf8'))
      return { to, from: { text: texts.join('\n') }, mode }
    }),
  )
  const guest = stagedGuest(guestOf(distro, recipe, bootLoader), guestProxy(recipe))
  const staged = await Promise.all(guest.files.map(expand))
  return [
    ...files,
    { to: `${GUEST}/set-up`, from: { text: guest.script }, mode: 0o755 },
    ...staged
      .flat()
      .map(({ to, from, mode }) => ({ to: `${GUEST}/${to}`, from: { path: from }, mode })),
  ]
}

/** A file, or all files below a directory. */
async function expand({ to, from }: { to: string; from: string }) {
  const one = async (path: string, name: string) => {
    const executable = ((await stat(path)).mode & 0o100) !== 0
    return { to: name, from: path, mode: executable ? (0o755 as const) : (0o644 as const) }
  }
  if (!(await stat(from)).isDirectory()) return [await one(from, to)]
  const names = await globby('**', { cwd: from, dot: true })
  return Promise.all(names.sort().map((name) => one(join(from, name), `${to}/${name}`)))
}

const inGuest = (address: string) => guestAddress(address, INSTALL_NIC.gateway)

/** The proxy, as the operator's script in the guest has to name it. */
function guestProxy({ proxyEnv }: Recipe): Record<string, string> {
  return Object.fromEntries(
    Object.entries(proxyEnv).map(([name, value]) => [
      name,
      /^https?:/.test(value) ? inGuest(value) : value,
    ]),
  )
}

/** What the templates may name. */
export function answerValues(distro: Distro, recipe: Recipe): AnswerValues {
  const [mirror] = recipe.mirrors
  const main = mirror?.main === undefined ? undefined : new URL(inGuest(mirror.main))
  const security = mirror?.security === undefined ? undefined : new URL(inGuest(mirror.security))
  const { securityPath } = distro.installer
  if (security && (security.protocol !== 'http:' || security.pathname !== securityPath)) {
    throw new UsageError(`Cannot hand --security-mirror ${mirror!.security} to the installer`, {
      hint: `It takes http://HOST${securityPath} only; or give --security-mirror none`,
    })
  }
  return {
    DISTRO: distro.name,
    CODENAME: recipe.release.codename,
    KERNEL: recipe.kernel,
    PACKAGES: recipe.packages.filter((name) => name !== recipe.kernel).join(' '),
    MIRROR_PROTOCOL: main?.protocol.replace(':', '') ?? '',
    MIRROR_HOST: main?.host ?? '',
    MIRROR_PATH: main?.pathname ?? '',
    SECURITY_HOST: security?.host ?? '',
    SERVICES: main && !security ? 'updates' : 'security, updates',
    PROXY:
      recipe.proxyEnv['http_proxy'] === undefined ? '' : inGuest(recipe.proxyEnv['http_proxy']),
  }
}

async function digestOfFiles(files: readonly InitrdFile[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { to, from, mode } of files) {
    hash.update(`${to} ${mode}\n`)
    hash.update('text' in from ? from.text : await readFile(from.path))
  }
  return hash.digest('hex')
}
