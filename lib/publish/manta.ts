/**
 * Publishes a build to Manta, file by file, in the layout of manta-layout.ts. A file that is there and the same
 * is skipped, one that differs is an error. The pointers come last; what fails or is interrupted before is
 * deleted there again, as far as it came from this run.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BuildError, UsageError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { parseName, type Options, type OptionTable } from '../cli/options.ts'
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session, stopSignal } from '../cli/session.ts'
import { parseStamp } from '../image/stamp.ts'
import { MantaClient } from './manta-client.ts'
import { artifactOf, directoriesOf, fullPath, isNewer, pointersOf } from './manta-layout.ts'
import type { Publication, Published, Publisher } from './publisher.ts'
import { rateText, transferReport } from './rate.ts'
import { parseServerUrl, parseUser, type Server, serverOptions } from './server.ts'
import { findSigningKey } from './ssh-key.ts'

export const mantaOptions = {
  ...serverOptions,
  path: {
    arg: 'PATH',
    help: 'manta: directory of the builds, as in /account/public/builds; the build is <path>/<name>/<stamp>',
  },
  branch: {
    arg: 'NAME',
    parse: parseName,
    help: "manta: branch whose pointer <branch>-latest is renewed (default: the stamp's)",
  },
  stamp: {
    arg: 'STAMP',
    help: "manta: stamp of the build, where its directory's name does not say",
  },
  force: {
    help: 'manta: also a build with local changes, stamped -dirty (also ENGBLD_BITS_UPLOAD_ALLOW_DIRTY=true)',
  },
} as const satisfies OptionTable

type MantaOptions = Partial<Options<typeof mantaOptions>>

const SUMS = 'md5sums.txt'
const ARTIFACTS = 'artifacts.txt'

/**
 * A publisher for Manta.
 *
 * @throws {UsageError} when options are missing
 */
export function mantaPublisher(
  options: MantaOptions,
  env: NodeJS.ProcessEnv = process.env,
  tuning: Pick<Server, 'idleMs' | 'pauseMs'> = {},
): Publisher {
  const named = env['MANTA_URL']
  const url = options.url ?? (named ? parseServerUrl(named) : undefined)
  if (!url) throw new UsageError('Option --to manta needs --url URL, or $MANTA_URL')
  const user = options.user ?? (env['MANTA_USER'] ? parseUser(env['MANTA_USER']) : undefined)
  if (user === undefined)
    throw new UsageError('Option --to manta needs --user NAME, or $MANTA_USER')
  if (options.path === undefined) throw new UsageError('Option --to manta needs --path PATH')
  const base = fullPath(options.path, user.split('/')[0]!)
  const identity = options.identity ?? (env['MANTA_KEY_ID'] || '~/.ssh/id_rsa')
  const { stamp, branch } = options
  const dirty = options.force === true || Boolean(env['ENGBLD_BITS_UPLOAD_ALLOW_DIRTY'])
  return {
    async publish(publication, scope, report) {
      const build = await describe(publication, { base, stamp, branch, dirty })
      const key = await findSigningKey(identity, env)
      const server: Server = {
        title: 'Manta',
        url,
        signature: { keyId: `/${user}/keys/${key.fingerprint}`, key },
        headers: { 'accept-version': '~1.0' },
        verbose: Boolean(env['MANTA_VERBOSE']),
        ...tuning,
      }
      return publishBuild(new MantaClient(server), url, build, scope, report)
    },
  }
}

type BuildFile = { name: string; path: string; bytes: number; md5: string; to: string }

type Build = {
  name: string
  stamp: string
  /** Directory of the build there, and of the builds of this name. */
  directory: string
  parent: string
  files: BuildFile[]
  pointers: string[]
  /** List of what is there, for Jenkins. */
  list: string
}

/** @throws {UsageError} without a stamp; {BuildError} for one of local changes, or a file that can't be read */
async function describe(
  { name, stamp: own, image, manifest, others }: Publication,
  wanted: { base: string; stamp: string | undefined; branch: string | undefined; dirty: boolean },
): Promise<Build> {
  if (own !== undefined && wanted.stamp !== undefined && own !== wanted.stamp) {
    throw new UsageError(`Option --stamp ${wanted.stamp} is not that of the build: ${own}`)
  }
  const stamp = own ?? wanted.stamp
  const parsed = stamp === undefined ? undefined : parseStamp(stamp)
  if (stamp === undefined || !parsed || stamp.includes('/')) {
    throw new UsageError(
      stamp === undefined
        ? `Cannot publish "${image.path}" to Manta: it does not lie in a build's directory`
        : `Cannot use --stamp "${stamp}": it is none`,
      { hint: 'Name the stamp, as in --stamp main-20260508T120000Z-0123456789ab' },
    )
  }
  if (stamp.endsWith('-dirty') && !wanted.dirty) {
    throw new BuildError(`Cannot publish build ${stamp}: it was made with local changes`, {
      hint: 'Commit them and build again; or say --force',
    })
  }
  const parent = `${wanted.base}/${name}`
  const directory = `${parent}/${stamp}`
  const paths = [image.path, ...(manifest ? [manifest.path] : []), ...others].filter(
    (path) => ![SUMS, ARTIFACTS].includes(basename(path)),
  )
  const files: BuildFile[] = []
  for (const path of paths.sort()) {
    const { size: bytes } = await stat(path)
    const file = basename(path)
    files.push({ name: file, path, bytes, md5: await md5Of(path), to: `${directory}/${file}` })
  }
  const output = own === undefined ? dirname(image.path) : join(dirname(image.path), '../..')
  return {
    name,
    stamp,
    directory,
    parent,
    files,
    pointers: pointersOf(wanted.branch ?? parsed.branch).map((one) => `${parent}/${one}`),
    list: join(output, `${name}.artifacts-in-manta`),
  }
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5')
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    stopSignal().throwIfAborted()
    hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}

const md5OfText = (text: string) => createHash('md5').update(text).digest('hex')

async function publishBuild(
  client: MantaClient,
  url: URL,
  build: Build,
  scope: Scope,
  report: Report,
): Promise<Published> {
  const undo = new Undo(client, build.directory)
  scope.onFailure(`Delete what came to ${build.directory}`, () => undo.run())
  const listed = [
    ...build.files.map(({ to }) => to),
    `${build.directory}/${SUMS}`,
    ...build.pointers,
  ]
  const artifacts = listed.map((path) => artifactOf(url, path))
  const texts: [string, string][] = [
    [ARTIFACTS, artifacts.map((line) => `${line}\n`).join('')],
    [SUMS, build.files.map(({ md5, name }) => `${md5}  ${name}\n`).join('')],
  ]
  // All that is there is looked at before anything is sent: one that differs ends it here.
  const missing = await act(
    `ask ${url.host} what is in ${build.directory}`,
    () => missingOf(client, build.files),
    build.files,
  )
  let changed = false
  if (missing.length > 0) {
    await act(`make directory ${build.directory}`, () => makeDirectories(client, build, undo))
    changed = true
  }
  const total = missing.reduce((sum, { bytes }) => sum + bytes, 0)
  const progress = transferReport(total, report)
  const started = Date.now()
  let before = 0
  for (const file of missing) {
    await act(`put ${file.path}, ${file.bytes} bytes, md5 ${file.md5}, to ${file.to}`, async () => {
      undo.object(file.to, file.md5)
      await client.put(file.to, file, file.md5, (sent) => progress(before + sent))
    })
    before += file.bytes
  }
  if (missing.length > 0 && !session.dryRun) {
    const rate = rateText(total, Date.now() - started)
    log.info(`Sent ${missing.length} of ${build.files.length} files, ${total} bytes, ${rate}`)
  }
  for (const [name, text] of texts) {
    const to = `${build.directory}/${name}`
    changed = (await putText(client, to, text, undo)) || changed
  }
  // The build is whole: from here on it stays, whatever becomes of the pointers.
  undo.forget()
  for (const pointer of build.pointers) {
    changed = (await renewPointer(client, pointer, build)) || changed
  }
  await writeList(build.list, artifacts)
  const where = artifactOf(url, build.directory)
  if (!changed) log.info(`${where} is there already, and the same: nothing changed`)
  return { where, existed: !changed, lines: takingLines(url, build) }
}

/** What was made by this run, newest last. */
class Undo {
  #made: { path: string; md5: string | undefined }[] = []
  readonly #client: MantaClient
  readonly #directory: string

  constructor(client: MantaClient, directory: string) {
    this.#client = client
    this.#directory = directory
  }

  /** Called before it is sent: an interruption may come between that and the answer. */
  object(path: string, md5: string): void {
    this.#made.push({ path, md5 })
  }

  directory(path: string): void {
    this.#made.push({ path, md5: undefined })
  }

  forget(): void {
    this.#made = []
  }

  async run(): Promise<void> {
    let deleted = 0
    for (const { path, md5 } of this.#made.reverse()) {
      const there = await this.#client.look(path, true)
      if (!there) continue
      if (there.kind === 'object' && there.md5 !== md5) continue // somebody else's
      // A directory in which somebody else has put something stays, as Manta deletes empty ones only.
      const kept = there.kind === 'directory'
      await this.#client.delete(path, true).catch((error: unknown) => {
        if (!kept) throw error
      })
      if (there.kind === 'object') deleted += 1
    }
    if (deleted > 0) log.info(`Deleted ${deleted} files in ${this.#directory} again`)
  }
}

/** @throws {BuildError} when another file of this name is there */
async function missingOf(client: MantaClient, files: readonly BuildFile[]): Promise<BuildFile[]> {
  const missing: BuildFile[] = []
  for (const file of files) {
    const there = await client.look(file.to)
    if (!there) missing.push(file)
    else if (there.kind === 'directory' || there.md5 !== file.md5) {
      const what =
        there.kind === 'directory' ? 'a directory' : `another file, with MD5 ${there.md5}`
      throw new BuildError(`Cannot publish "${file.path}": ${file.to} is there, and ${what}`, {
        hint: `What is published does not change, and its MD5 here is ${file.md5}: compare the two, and delete the one that is wrong`,
      })
    }
  }
  return missing
}

async function makeDirectories(client: MantaClient, { directory }: Build, undo: Undo) {
  for (const path of directoriesOf(directory)) {
    const there = await client.look(path)
    if (there?.kind === 'object') {
      throw new BuildError(`Cannot make directory ${path}: there is an object of this name`)
    }
    if (there) continue
    undo.directory(path)
    await client.makeDirectory(path)
  }
}

/** What follows from the files: written anew when it differs. Says whether it did. */
async function putText(client: MantaClient, to: string, text: string, undo: Undo) {
  const md5 = md5OfText(text)
  return act(
    `put ${to}`,
    async () => {
      const there = await client.look(to)
      if (there?.kind === 'object' && there.md5 === md5) return false
      // One that was there before is of a build that is there: it is not taken away.
      if (there) undo.forget()
      else undo.object(to, md5)
      await client.put(to, text, md5)
      return true
    },
    false,
  )
}

async function renewPointer(client: MantaClient, pointer: string, { directory, stamp }: Build) {
  const text = `${directory}\n`
  return act(
    `point ${pointer} to ${directory}`,
    async () => {
      const there = await client.get(pointer)
      if (there === text) return false
      if (there !== undefined && isNewer(there, stamp)) {
        log.info(`${pointer} points to a newer build, ${there.trim()}: left as it is`)
        return false
      }
      await client.put(pointer, text, md5OfText(text)).catch((error: unknown) => {
        throw new BuildError(`The build is published, but not pointed to by ${pointer}`, {
          hint: `Run this again. ${error instanceof Error ? error.message : ''}`,
          cause: error,
        })
      })
      return true
    },
    false,
  )
}

async function writeList(path: string, lines: readonly string[]): Promise<void> {
  await act(`write ${path}`, async () => {
    const partial = `${path}.${process.pid}.partial`
    try {
      await writeFile(partial, lines.map((line) => `${line}\n`).join(''))
      await rename(partial, path)
    } finally {
      await rm(partial, { force: true })
    }
  })
}

function takingLines(url: URL, { directory, files }: Build): string[] {
  const names = files.map(({ name }) => name)
  const manifest = names.find((name) => name.endsWith('.imgmanifest'))
  const image = names.find((name) => name.endsWith('.zfs.gz'))
  const wanted = manifest && image ? [manifest, image] : names
  const fetch = wanted.map((name) => {
    const artifact = artifactOf(url, `${directory}/${name}`)
    return /^https?:/.test(artifact) ? `curl -fO ${artifact}` : `mget -O ${artifact}`
  })
  return [
    ...fetch,
    ...(manifest && image ? [`On SmartOS then: imgadm install -m ${manifest} -f ${image}`] : []),
  ]
}
