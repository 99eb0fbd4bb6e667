/**
 * The recipe that every create-image-<distro> command follows, from options to manifest.
 */
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Distro } from '../../distros/distro.ts'
import { log } from '../cli/log.ts'
import { main } from '../cli/main.ts'
import { commonOptions, type Command } from '../cli/options.ts'
import { redact } from '../cli/redact.ts'
import { step, timings } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { installBootLoaders, partitionDisk } from '../disk/assemble.ts'
import { seededGuid } from '../disk/identity.ts'
import { type Layout, plainLayout } from '../disk/layout.ts'
import { checkUserNamespaces } from '../host/user-namespaces.ts'
import { ensureTools, TOOLS } from '../host/tools.ts'
import { fillRoot, installPackages, prepareNamespace } from '../methods/bootstrap.ts'
import { type Bootstrap, type GuestScript, STAGING } from '../methods/mmdebstrap.ts'
import { smartos } from '../targets/smartos.ts'
import type { ImageFile } from './image-file.ts'
import { checkDraft, imageManifest, writeManifest } from './manifest.ts'
import { checkWritable, makeOutputDir } from './output-dir.ts'
import { type ImageOptions, imageOptions, type Recipe, resolveRecipe } from './recipe.ts'
import { makeStamp } from './stamp.ts'
import { writeZvolImage } from './zvol-image.ts'

const options = { ...imageOptions, ...commonOptions }
const project = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** What a create-image command of this distro accepts. */
export function createImageUsage(distro: Distro): Command<typeof options> {
  const name = `create-image-${distro.name}`
  const newest = distro.releases.at(-1)!.version
  return {
    name,
    summary: `Build a ${distro.title} image for SmartOS and Triton, and print its manifest's path.`,
    words: ['RELEASE'],
    details: [`RELEASE is ${distro.releases.map(({ version }) => version).join(', ')}.`],
    options,
    examples: [
      `./bin/${name} ${newest}`,
      `./bin/${name} ${newest} --size 20G --include tmux,rsync --customize ./my-changes.sh`,
      `./bin/${name} ${newest} --dry-run`,
      `manifest=$(./bin/${name} ${newest} --output /data/bits)`,
    ],
  }
}

/** The whole command: parse, build, print. */
export async function createImageCommand(distro: Distro): Promise<void> {
  await main(createImageUsage(distro), async ({ options, words, scope }) => {
    const recipe = await resolveRecipe(distro, words[0]!, options, await makeStamp())
    if (session.dryRun) printRecipe(recipe)
    const result = await createImage(distro, recipe, options, scope)
    if (session.dryRun) return
    if (options.json) {
      console.log(redact(JSON.stringify({ ...result, recipe, timings }, undefined, 2)))
    } else console.log(result.manifest)
  })
}

/** The resolved recipe, as comments above the commands of --dry-run. */
function printRecipe(recipe: Recipe) {
  JSON.stringify(recipe, undefined, 2)
    .split('\n')
    .forEach((line) => log.info(line))
}

type Result = { manifest: string; image: ImageFile }

async function createImage(
  distro: Distro,
  recipe: Recipe,
  options: ImageOptions,
  scope: Scope,
): Promise<Result> {
  const mode = process.getuid?.() === 0 ? 'root' : 'unshare'
  const today = recipe.stamp.at.toISOString().slice(0, 10)
  if (recipe.release.endOfLife < today) {
    log.warn(`${recipe.title} is out of support since ${recipe.release.endOfLife}`)
  }
  await checkWritable(recipe.output)
  // What is known of the manifest has to be right before minutes are spent.
  const described = manifestData(recipe, distro)
  checkDraft(described)
  await step('Check the host', () => checkHost(distro, mode, options.install))

  const output = await makeOutputDir(scope, {
    output: recipe.output,
    name: recipe.name,
    stamp: recipe.stamp.text,
  })
  const work = await scope.tempDir(recipe.name)
  if (mode === 'unshare') await prepareNamespace(scope, work)
  const disk = join(work, 'disk.raw')
  const seed = `${recipe.name}/${recipe.version}/${recipe.stamp.text}`
  const layout = plainLayout(recipe.diskBytes, seed)
  const times = { epoch: Math.floor(recipe.stamp.at.getTime() / 1000) }

  const tree = await step('Install packages', (report) =>
    installPackages(
      {
        work,
        spec: bootstrapOf(distro, recipe, mode, layout),
        mirrors: recipe.mirrors,
        efiVendor: distro.efiVendor,
        proxyEnv: recipe.proxyEnv,
      },
      report,
    ),
  )
  await step('Make the disk', async () => {
    await partitionDisk(disk, layout)
    await fillRoot(tree, disk, layout, times)
    await installBootLoaders(disk, layout, tree.bootFiles, times)
  })

  const base = `${recipe.name}-${recipe.version}`
  const stream = join(output.partial, `${base}.zfs.gz`)
  const guid = seededGuid(seed, 'snapshot')
  const image = await step('Write the image', (report) =>
    writeZvolImage(
      {
        path: disk,
        bytes: layout.bytes,
        guid,
        createdAtSeconds: times.epoch,
        name: `zones/${base}@final`,
      },
      stream,
      report,
    ),
  )
  const manifestPath = join(output.partial, `${base}.imgmanifest`)
  await step('Write the manifest', () =>
    act(`write ${manifestPath}`, () => {
      const { sha1, sha256, bytes } = image
      const file = { sha1, bytes, datasetGuid: guid }
      return writeManifest(imageManifest({ ...described, sha256, file }), manifestPath)
    }),
  )
  await output.finish()
  const final = (name: string) => join(output.final, name)
  const result = {
    manifest: final(`${base}.imgmanifest`),
    image: { ...image, path: final(`${base}.zfs.gz`) },
  }
  log.info(`On SmartOS: imgadm install -m ${result.manifest} -f ${result.image.path}`)
  return result
}

async function checkHost(distro: Distro, mode: Bootstrap['mode'], install: boolean) {
  const { newuidmap, ...tools } = TOOLS
  const keyring = {
    name: distro.keyring.file,
    apt: distro.keyring.apt,
    why: `holds the keys that sign ${distro.title}'s packages`,
  }
  const wanted = [...Object.values(tools), ...(mode === 'unshare' ? [newuidmap] : []), keyring]
  await ensureTools(wanted, { install })
  if (mode === 'unshare' && !session.dryRun) await checkUserNamespaces()
}

/** What the manifest says that is known before the build. */
function manifestData(recipe: Recipe, distro: Distro) {
  return {
    name: recipe.name,
    version: recipe.version,
    description: recipe.description,
    homepage: recipe.homepage,
    volumeBytes: recipe.diskBytes,
    publishedAt: recipe.stamp.at,
    defaultUser: distro.defaultUser,
  }
}

function bootstrapOf(
  distro: Distro,
  recipe: Recipe,
  mode: Bootstrap['mode'],
  layout: Layout,
): Omit<Bootstrap, 'mirror' | 'target' | 'download'> {
  const env = {
    TITLE: recipe.title,
    IMAGE_NAME: recipe.name,
    IMAGE_VERSION: recipe.version,
    HOMEPAGE: recipe.homepage,
    CODENAME: recipe.release.codename,
    COMPONENTS: distro.components.join(' '),
    SECURITY_MIRROR: distro.securityMirror,
    ROOT_UUID: layout.root.fsUuid,
    // FAT's short volume id, as blkid and fstab write it
    ESP_UUID: layout.esp.volumeId.toUpperCase().replace(/^(.{4})/, '$1-'),
    KERNEL_ARGUMENTS: smartos.kernelArguments.join(' '),
    GUEST_TOOLS: join(STAGING, basename(smartos.guestTools.directory)),
  }
  const script = (path: string): GuestScript => ({ path: project(path), name: basename(path), env })
  const ours = (path: string) => script(`distros/${path}`)
  const cache = join(recipe.cache, 'packages', `${distro.name}-${recipe.release.codename}`)
  return {
    mode,
    codename: recipe.release.codename,
    components: distro.components,
    keyring: distro.keyring.file,
    include: recipe.packages,
    cache: { archives: join(cache, 'archives'), lists: join(cache, 'lists') },
    offline: recipe.offline,
    files: smartos.files.map(({ from, to }) => ({ from: project(from), to })),
    directories: [project(smartos.guestTools.directory)],
    setup: [...distro.setup.map(ours), script(smartos.guestTools.install)],
    customize:
      recipe.customize === undefined
        ? undefined
        : { path: recipe.customize, name: basename(recipe.customize), env },
    finish: [ours(distro.bootLoader), ours(distro.cleanUp)],
  }
}
