/**
 * Method cloud-image: the vendor's own cloud image becomes ours. A copy of it is booted with a CD that
 * tells its cloud-init what to do; the operator's script can do there whatever a running system can.
 */
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Distro, systemOf } from '../../distros/distro.ts'
import { architectures } from '../../distros/architectures.ts'
import { BuildError } from '../cli/errors.ts'
import { step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { serveFiles } from '../host/file-server.ts'
import { chooseHypervisor, hypervisorTools } from '../host/hypervisor.ts'
import { INSTALLER_TOOLS, TOOLS } from '../host/tools.ts'
import { mediumMaterial } from '../image/materials.ts'
import type { CloudRecipe } from '../image/machine-recipes.ts'
import type { Recipe } from '../image/recipe.ts'
import { setUpMachine } from '../machine/hardware.ts'
import { INSTALL_NIC, install, installFirmware } from '../machine/install.ts'
import { type FetchOptions } from '../media/fetch.ts'
import { findGiven } from '../media/given.ts'
import { type InitrdFile, writeTree } from '../media/initrd.ts'
import { writeIso } from '../media/iso9660.ts'
import { findKeys } from '../media/keys.ts'
import { fetchMedia, type Media } from '../media/media.ts'
import { checkBase, copyBase } from './base-image.ts'
import {
  CLOUD_MARKERS,
  explainGuest,
  META_DATA,
  ON_CD,
  RUN,
  SEED_LABEL,
  userData,
  VENDOR_DATA,
} from './cloud-seed.ts'
import { guestAddress } from './guest-address.ts'
import type { GuestScript } from './guest.ts'
import { guestInMachine } from './guest-in-machine.ts'
import { directoryContent } from './guest-digest.ts'
import { digestOfFiles, expandFile, guestProxy } from './installer-answers.ts'
import { keepingSystems, machineSystemKey, onItsDay } from './kept-system.ts'
import type { Build, Filled, Host, Method } from './method.ts'
import { packInMachine } from './tar-disk.ts'

const wanted = (recipe: Recipe): CloudRecipe => {
  if (recipe.cloud) return recipe.cloud
  throw new Error('The recipe has no cloud image')
}

/** Emulated machines are slow, and packages are many. */
const LIMITS = { silentSeconds: 600, seconds: 3600 }

const PHASES = [
  { title: 'Boot', begins: /Linux version/ },
  { title: 'Wait for cloud-init', begins: /^JOYENT_STATUS_BOOT=/ },
  { title: 'Set up', begins: /^JOYENT_STATUS_CLOUD_INIT=ok/ },
]

const inMachine: Method = {
  tools(_distro, recipe) {
    const { curl, xorriso, xz } = INSTALLER_TOOLS
    const { hypervisor } = wanted(recipe)
    return [
      xorriso,
      xz,
      TOOLS.qemuImg,
      TOOLS.libdeflateGzip,
      TOOLS.zstd,
      curl,
      ...hypervisorTools(hypervisor),
    ]
  },
  async checkHost(recipe) {
    return { hypervisor: await chooseHypervisor(wanted(recipe).hypervisor) }
  },
  async fetch(build, report) {
    const media = await findBase(build, { report }, build.recipe.offline)
    return { path: media.path, media }
  },
  async answers() {
    return undefined // there is no installer that could ask
  },
  async systemKey(build, options) {
    if (session.dryRun) return undefined
    const recipe = onItsDay(build.recipe)
    const { files } = wanted(recipe)
    // One that can't be read is for the script to ask for.
    const served = files === undefined ? {} : await directoryContent(files).catch(() => undefined)
    if (!served) return undefined
    // The port is another one each time.
    const content = [await digestOfFiles(await seedFiles({ ...build, recipe }, 0)), served]
    const media = await baseOf(build, options)
    await checkBase(media.path)
    return machineSystemKey(build, media, content, { offline: recipe.offline, lists: true })
  },
  fill: (build, host, disk, options) => setUpOn(build, host, [disk], options),
  pack: (build, host, options) =>
    packInMachine(build, (disk, tar) => setUpOn(build, host, [disk, tar], options)),
}
export const cloudImage = keepingSystems(inMachine)

/** @param disks the system's, and one for what is packed of it */
async function setUpOn(
  build: Build,
  host: Host,
  disks: readonly [string, ...string[]],
  options: { fetched: boolean },
): Promise<Filled> {
  const { recipe, scope, work } = build
  const { memoryMiB, cpus, vnc, limitSeconds } = wanted(recipe)
  const base = await baseOf(build, options)
  await step('Copy the base image', () => copyBase(base.path, disks[0], recipe.disk.bytes))
  const seed = await step('Write the seed', () => writeSeed(build))
  const serialLog = join(work, 'serial.log')
  const hypervisor = host.hypervisor!
  const { hardware, firmware } = setUpMachine[recipe.arch]
  const machine = { layout: hardware, hypervisor }
  const code = await installFirmware(firmware, machine, work)
  await step('Set up', (report) =>
    install(
      {
        name: recipe.name,
        hypervisor,
        hardware,
        firmware: code,
        memoryMiB,
        cpus,
        disks: disks.map((path) => ({ path, format: 'raw' })),
        cdroms: [seed],
        vnc,
      },
      {
        phases: PHASES,
        markers: CLOUD_MARKERS,
        complaint: /^(error:|E:)|exited with status \d+$/,
        explain: explainGuest,
        limits: LIMITS,
        totalSeconds: limitSeconds,
      },
      { scope, serialLog },
      report,
    ).catch(async (error: unknown) => {
      throw await withoutCloudInit(error, serialLog, base.name)
    }),
  )
  return { serialLog, materials: [await mediumMaterial(base)] }
}

/** The base image that the stage fetch has brought, or that of the cache. */
const baseOf = async (build: Build, { fetched }: { fetched: boolean }) =>
  build.media ?? findBase(build, {}, build.recipe.offline || !fetched)

/** The base image, verified: the operator's, or the vendor's newest. */
async function findBase(build: Build, options: FetchOptions, offline: boolean): Promise<Media> {
  const { distro, recipe } = build
  const { base, pinned } = wanted(recipe)
  const cache = join(recipe.cache, 'media')
  const fetching = { ...options, env: recipe.proxyEnv, offline }
  if (base) {
    const dry = { path: base.iso, name: basename(base.iso), digest: undefined, from: base.iso }
    return act<Media>(`find base image ${base.iso}`, () => findGiven(base, cache, fetching), dry)
  }
  const { cloudMedia } = recipe.release
  if (!cloudMedia) {
    throw new BuildError(`Cannot find a cloud image of ${recipe.title}: name one by --base`)
  }
  const { key, ...media } = cloudMedia
  const dry = { path: 'BASE.qcow2', name: 'BASE', digest: undefined, from: media.roots[0]! }
  const { suffix } = architectures[recipe.arch]
  const name = `${distro.name}-${recipe.release.version}${suffix}-cloud` // not the image's, which --name chooses
  const find = async () => {
    const trust = key && (await findKeys(key, undefined, cache, fetching))
    return fetchMedia({ ...media, name, trust, pinned }, cache, fetching)
  }
  return act<Media>(`find the newest ${media.file.source} in ${media.roots.join(', ')}`, find, dry)
}

/** The CD: what cloud-init reads, and the guest's set-up. */
async function writeSeed(build: Build): Promise<string> {
  const { recipe, scope, work, epochSeconds } = build
  const { files: directory } = wanted(recipe)
  const port = directory === undefined || session.dryRun ? 0 : await serveFiles(directory, scope)
  const tree = join(work, 'seed')
  const iso = join(work, 'seed.iso')
  await act(`write the seed to ${iso}`, async () => {
    await writeTree(await seedFiles(build, port), tree)
    await writeIso(tree, iso, { label: SEED_LABEL, epochSeconds })
  })
  return iso
}

/** @param port where the operator's files are served, where there are any */
async function seedFiles({ distro, recipe }: Build, port: number): Promise<InitrdFile[]> {
  const { files: directory, userData: own } = wanted(recipe)
  const guest = guestWithPackages(distro, recipe, {
    ...guestProxy(recipe),
    ...(directory !== undefined && httpVariables(INSTALL_NIC.gateway, port)),
  })
  const text = (to: string, content: string): InitrdFile => ({
    to,
    from: { text: content },
    mode: 0o644,
  })
  const staged = (await Promise.all(guest.files.map(expandFile))).flat()
  return [
    text('meta-data', META_DATA),
    text('vendor-data', VENDOR_DATA),
    text('user-data', userData(own === undefined ? undefined : await readFile(own, 'utf8'))),
    text(`${ON_CD}/run`, RUN),
    text(`${ON_CD}/set-up`, guest.script),
    ...staged.map((file) => ({ ...file, to: `${ON_CD}/guest/${file.to}` })),
  ]
}

/** Packages first: what is set up may be theirs. */
function guestWithPackages(distro: Distro, recipe: Recipe, env: Readonly<Record<string, string>>) {
  const { cloudImage: form } = systemOf(distro, recipe.release)
  if (!form) throw new Error(`${distro.title} has no method cloud-image`)
  const own = wanted(recipe).kernel
  const packages = (others: GuestScript['env']): GuestScript => ({
    path: join(recipe.project, 'distros', form.packages),
    name: basename(form.packages),
    env: {
      ...env,
      PACKAGES: recipe.packages.filter((name) => name !== recipe.kernel).join(' '),
      KERNEL: own ?? '',
      ...others,
      BUILD_MIRROR: inGuest(recipe.mirrors[0]?.main),
      BUILD_SECURITY_MIRROR: inGuest(recipe.mirrors[0]?.security),
      BUILD_REPOSITORIES: buildRepositories(recipe).join(' '),
    },
  })
  return guestInMachine(distro, recipe, form.finish, env, packages)
}

/** A mirror on this machine's loopback is at the gateway, for the guest. */
const inGuest = (address: string | undefined) =>
  address === undefined ? '' : guestAddress(address, INSTALL_NIC.gateway)

/** What --mirror has in place of the image's own repositories. */
function buildRepositories({ mirrors, release: { repositories } }: Recipe): string[] {
  const main = mirrors[0]?.main
  if (main === undefined || !repositories) return []
  const paths = [repositories.base, ...repositories.others.map(({ path }) => path)]
  return paths.map((path) => `${inGuest(main)}/${path}`)
}

/** Where the operator's files are, in our words and in those that scripts for Packer know. */
function httpVariables(ip: string, port: number): Record<string, string> {
  return {
    HYBRID_HTTP_IP: ip,
    HYBRID_HTTP_PORT: String(port),
    PACKER_HTTP_IP: ip,
    PACKER_HTTP_PORT: String(port),
    PACKER_HTTP_ADDR: `${ip}:${port}`,
  }
}

/** An image that never began to do what it is told has no cloud-init, or one that looks elsewhere. */
async function withoutCloudInit(error: unknown, serialLog: string, name: string): Promise<unknown> {
  if (!(error instanceof BuildError) || session.interruption.signal.aborted) return error
  const said = await readFile(serialLog, 'latin1').catch(() => '')
  if (/^JOYENT_STATUS_BOOT=/m.test(said)) return error
  const size = await stat(serialLog).then(
    (found) => found.size,
    () => 0,
  )
  return new BuildError(
    `Cannot set up "${name}": its cloud-init did not begin (${error.message})`,
    {
      hint: `Is cloud-init in it, with the datasource NoCloud, and a serial console? See the ${size} bytes of the serial log in ${dirname(serialLog)}`,
    },
  )
}
