/**
 * The recipe that every create-image-<distro> command follows, from options to manifest.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { type Distro, onArch } from '../../distros/distro.ts'
import { BuildError, UsageError } from '../cli/errors.ts'
import { emit, eventsOption } from '../cli/events.ts'
import { log } from '../cli/log.ts'
import { main } from '../cli/main.ts'
import { commonOptions, type Command } from '../cli/options.ts'
import { redact } from '../cli/redact.ts'
import { step, timings } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'
import { ensureTools } from '../host/tools.ts'
import { withHygiene } from '../hygiene/hygiene.ts'
import { bootstrap } from '../methods/bootstrap.ts'
import { cloudImage } from '../methods/cloud-image.ts'
import { installer } from '../methods/installer.ts'
import type { Build, Host, Method } from '../methods/method.ts'
import { uploadToDirectory } from '../publish/directory.ts'
import { ENDINGS } from '../targets/target.ts'
import { targetOf, TARGETS } from '../targets/targets.ts'
import { describeVariables } from '../targets/variables.ts'
import { REPORT } from './build-report.ts'
import type { ImageFile } from './image-file.ts'
import { type ImageOptions, imageOptions, type MethodName } from './image-options.ts'
import { makeImage } from './make-image.ts'
import type { Made } from './makers.ts'
import { copyLog } from './copy-log.ts'
import type { Media } from '../media/media.ts'
import { LOCK } from '../packages/lock.ts'
import { copyInputs } from './inputs.ts'
import { checkDraft, imageManifest, writeManifest } from './manifest.ts'
import { checkWritable, makeOutputDir } from './output-dir.ts'
import { datedRecipe, type Recipe, resolveRecipe } from './recipe.ts'
import { type Records, writeRecords } from './records.ts'
import { sweepStages } from './stage-cache.ts'
import { parseStages, type Stage, STAGES } from './stages.ts'
import { makeStamp, parseStamp } from './stamp.ts'
import { writeReport } from './write-report.ts'

const options = { ...imageOptions, ...eventsOption, ...commonOptions }
const methods: Record<MethodName, Method> = { bootstrap, installer, 'cloud-image': cloudImage }

/** The targets that the distro can be built for. */
const targetsOf = (distro: Distro) =>
  TARGETS.map((name) => targetOf({ target: name })).filter(({ refuses }) => !refuses?.(distro))

/** For the usage text: the variables of each target, where it has some. */
const variableSections = (distro: Distro) =>
  targetsOf(distro)
    .filter(({ variables }) => Object.keys(variables).length > 0)
    .map(({ name, variables }) => ({
      title: `Variables of --target ${name}, for --var`,
      rows: describeVariables(variables),
    }))

/** What a create-image command of this distro accepts. */
export function createImageUsage(distro: Distro): Command<typeof options> {
  const name = `create-image-${distro.name}`
  const newest = distro.releases.at(-1)!.version
  const forLibvirt = targetsOf(distro).some((target) => target.name === 'libvirt')
  const others = forLibvirt ? ', for MAAS or for libvirt' : ' or for MAAS'
  return {
    name,
    summary: `Build a ${distro.title} image for SmartOS and Triton${others}, and print its manifest's path.`,
    words: ['RELEASE'],
    more: 'STAGE',
    details: [
      `RELEASE is ${distro.releases.map(({ version }) => version).join(', ')}.`,
      `STAGE is ${STAGES.join(', ')}: bring what is needed into the cache, write the installer's answers,`,
      'build from the cache, copy the newest build to --upload-to. Default: fetch iso image.',
      `An image for MAAS${forLibvirt ? ' or libvirt' : ''} has no manifest: its own path is printed, and how it is handed over.`,
    ],
    options,
    sections: variableSections(distro),
    examples: [
      `./bin/${name} ${newest}`,
      `./bin/${name} ${newest} --size 20G --include tmux,rsync --customize ./my-changes.sh`,
      `./bin/${name} ${newest} --layout lvm`,
      `./bin/${name} ${newest} --target maas --format ddgz --name custom-disk`,
      ...(forLibvirt
        ? [
            `./bin/${name} ${newest} --target libvirt --name golden --var admin_user=ops --var reboot_time=03:30`,
          ]
        : []),
      `./bin/${name} ${newest} --dry-run`,
      `./bin/${name} ${newest} fetch && ./bin/${name} ${newest} image upload --upload-to /srv/images`,
      `manifest=$(./bin/${name} ${newest} --output /data/bits)`,
    ],
  }
}

/** What the stages that ran have made; the last of these is printed. */
type Result = {
  media?: string
  answers?: string
  manifest?: string
  image?: ImageFile
  /** What an operator does with it. */
  handOver?: string[]
  serialLog?: string
  /** The packages, for a build of the same. */
  lock?: string
  /** A page of the build. */
  report?: string
  uploaded?: string[]
}

/** The whole command: parse, build, print. */
export async function createImageCommand(distro: Distro): Promise<void> {
  await main(createImageUsage(distro), async ({ options, words, scope }) => {
    const stages = parseStages(words.slice(1))
    if (stages.has('upload') && options['upload-to'] === undefined) {
      throw new UsageError('Stage upload needs --upload-to DIR')
    }
    const recipe = await resolveRecipe(distro, words[0]!, options, await makeStamp())
    if (session.dryRun) printRecipe(recipe)
    const result = await runStages(stages, onArch(distro, recipe.arch)!, recipe, options, scope)
    if (session.dryRun) return
    emit({ event: 'result', result })
    if (options.json) {
      console.log(redact(JSON.stringify({ ...result, recipe, timings }, undefined, 2)))
      return
    }
    const { media, answers, manifest, image, uploaded } = result
    const made = manifest ?? image?.path ?? answers ?? media
    for (const line of uploaded ?? [made]) if (line) console.log(line)
  })
}

/** The resolved recipe, as comments above the commands of --dry-run. */
function printRecipe(recipe: Recipe) {
  JSON.stringify(recipe, undefined, 2)
    .split('\n')
    .forEach((line) => log.info(line))
}

async function runStages(
  stages: ReadonlySet<Stage>,
  distro: Distro,
  recipe: Recipe,
  options: ImageOptions,
  scope: Scope,
): Promise<Result> {
  const result: Result = {}
  const method = methods[recipe.method]
  const image = stages.has('image')
  if (image) await checkBeforehand(distro, recipe)
  let host: Host = {}
  if (stages.has('fetch') || image) {
    await step('Check the host', async () => {
      await ensureTools(method.tools(distro, recipe), { install: options.install })
      if (image) host = await method.checkHost(recipe, { install: options.install })
    })
  }
  const build = async (): Promise<Build> => ({
    distro,
    recipe,
    scope,
    work: await scope.tempDir(recipe.name),
    seed: `${recipe.name}/${recipe.version}/${recipe.stamp.text}`,
    epochSeconds: Math.floor(recipe.at.getTime() / 1000),
    stages: {
      directory: join(recipe.cache, 'stages', `${recipe.name}-${recipe.target}`),
      fresh: recipe.fresh,
    },
  })
  let found: Media | undefined
  // What pins its packages fetches them then.
  if (stages.has('fetch') && !(image && method.pin)) {
    const fetching = await build()
    const { path, media } = await step('Fetch', (report) => method.fetch(fetching, report))
    result.media = path
    found = media
  }
  if (stages.has('iso') && !image) {
    const answers = await method.answers(await build())
    if (answers === undefined) log.info(`Method ${recipe.method} needs no answers`)
    else result.answers = answers
  }
  if (image) {
    const fetched = stages.has('fetch')
    const given = { ...(await build()), ...(found && { media: found }) }
    Object.assign(result, await createImage(method, given, host, { fetched }))
  }
  if (stages.has('upload')) {
    result.uploaded = await upload(recipe, resolve(options['upload-to']!), scope)
  }
  return result
}

/** What can be known to be wrong before minutes are spent. */
async function checkBeforehand(distro: Distro, recipe: Recipe): Promise<void> {
  const today = recipe.stamp.at.toISOString().slice(0, 10)
  if (recipe.release.endOfLife < today) {
    log.warn(`${recipe.title} is out of support since ${recipe.release.endOfLife}`)
  }
  if (recipe.release.firmware) {
    log.warn(`${recipe.title} boots from ${recipe.release.firmware.toUpperCase()} only`)
  }
  await checkWritable(recipe.output)
  if (targetOf(recipe).manifest) checkDraft(manifestData(recipe, distro))
}

/** The build, with what its method can say of it beforehand. */
async function pinned(method: Method, build: Build, options: { fetched: boolean }): Promise<Build> {
  const keyed = async (known: Build): Promise<Build> => {
    const key = await method.systemKey?.(known, options)
    return { ...known, ...(key !== undefined && { key }) }
  }
  const pin = await method.pin?.(build, options)
  if (!pin) return keyed(build)
  const { epoch } = pin.lock
  const recipe = datedRecipe(build.recipe, new Date(epoch * 1000))
  const known = { ...build, recipe, pin, epochSeconds: epoch }
  const seeded = { ...known, seed: method.seed?.(known, pin) ?? known.seed }
  return keyed(seeded)
}

async function createImage(
  method: Method,
  given: Build,
  host: Host,
  options: { fetched: boolean },
): Promise<Result> {
  await sweepStages(given.stages)
  const copied = { ...given, recipe: await copyInputs(given.recipe, given.scope) }
  const build = await pinned(method, copied, options)
  const { distro, recipe, scope } = build
  const output = await makeOutputDir(scope, {
    output: recipe.output,
    name: recipe.name,
    stamp: recipe.stamp.text,
  })
  const path = join(output.partial, `${recipe.fileName}.${ENDINGS[recipe.format]}`)
  const made = await makeImage(withHygiene(method), build, host, path, options)
  const manifest = join(output.partial, `${recipe.fileName}.imgmanifest`)
  const serial = join(output.partial, `${recipe.fileName}.serial.log`)
  const kept = made.serialLog === undefined ? undefined : serial
  const records = await step('Write the records', async () => {
    if (made.serialLog) await copyLog(made.serialLog, serial)
    return writeRecords(build, made, kept, method.tools(distro, recipe))
  })
  await step(targetOf(recipe).manifest ? 'Write the manifest' : 'Write the digests', async () => {
    if (targetOf(recipe).manifest) await writeManifestOf(build, made, records, manifest)
    else await writeDigests(made.image, `${path}.sha256`)
  })
  const report = join(output.partial, `${recipe.fileName}.${REPORT}`)
  await step('Write the report', () => writeReport(recipe, made, records, kept, report))
  await output.finish()
  const final = (file: string) => join(output.final, basename(file))
  const image = { ...made.image, path: final(path) }
  const result = {
    ...(targetOf(recipe).manifest && { manifest: final(manifest) }),
    image,
    ...(made.serialLog && { serialLog: final(serial) }),
    report: final(report),
    ...(build.pin && { lock: final(`${recipe.fileName}.${LOCK}`) }),
  }
  const { base } = distro.maas
  const handOver = targetOf(recipe).handOver({
    ...recipe,
    ...result,
    image: image.path,
    user: distro.maas.user,
    base: base && `${base}/${recipe.release.version.replaceAll(/\D/g, '')}`,
  })
  log.info(`sha1 ${image.sha1}, sha256 ${image.sha256}`)
  handOver.forEach((line) => log.info(line))
  return { ...result, handOver }
}

async function writeManifestOf(
  { distro, recipe }: Build,
  made: Made,
  { tags: records }: Records,
  path: string,
) {
  await act(`write ${path}`, () => {
    const { sha1, sha256, bytes } = made.image
    const file = { sha1, bytes, datasetGuid: made.guid! }
    const data = { ...manifestData(recipe, distro), upstream: made.upstream, records, sha256, file }
    return writeManifest(imageManifest(data), path)
  })
}

/** Beside an image that no manifest goes with, for `sha256sum -c`. */
async function writeDigests({ path: image, sha256 }: ImageFile, path: string) {
  await act(`write ${path}`, () => writeFile(path, `${sha256}  ${basename(image)}\n`))
}

/** Stage upload: the newest build of this recipe, to a directory; a list of it for Jenkins. */
async function upload(recipe: Recipe, destination: string, scope: Scope): Promise<string[]> {
  const latest = join(recipe.output, `${recipe.name}-latest-build-stamp`)
  const stamp = session.dryRun
    ? recipe.stamp.text
    : (await readFile(latest, 'utf8').catch(() => '')).trim()
  const directory = join(recipe.output, recipe.name, stamp)
  if (stamp === '' || (!session.dryRun && !existsSync(directory))) {
    throw new BuildError(
      `Cannot upload ${recipe.name}: there is no finished build in ${recipe.output}`,
      {
        hint: 'Run the stage image first, with the same --output',
      },
    )
  }
  await makeParents(destination)
  const paths = await step('Upload', (report) =>
    uploadToDirectory(
      { directory, name: recipe.name, branch: parseStamp(stamp)?.branch ?? stamp },
      destination,
      scope,
      report,
    ),
  )
  const list = join(recipe.output, `${recipe.name}.artifacts-in-manta`)
  await act(`write ${list}`, () => writeFile(list, paths.map((path) => `${path}\n`).join('')))
  return paths
}

/** What the manifest says that is known before the build. */
function manifestData(recipe: Recipe, distro: Distro) {
  return {
    name: recipe.name,
    version: recipe.version,
    description: recipe.description,
    homepage: recipe.homepage,
    volumeBytes: recipe.disk.bytes,
    publishedAt: recipe.at,
    defaultUser: distro.defaultUser,
    firmware: recipe.release.firmware,
    cpu: recipe.release.cpu,
  }
}
