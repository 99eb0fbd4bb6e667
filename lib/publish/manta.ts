/**
 * Publishes a build to Manta, file by file, in the layout of manta-layout.ts. A file that is there and the same
 * is skipped, one that differs is an error. The pointers come last; what fails or is interrupted before is
 * deleted there again, as far as it came from this run.
 */
import { rename, rm, writeFile } from 'node:fs/promises'
import { BuildError, UsageError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { parseName, type Options, type OptionTable } from '../cli/options.ts'
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { ARTIFACTS, type Build, type BuildFile, mantaBuild, SUMS } from './manta-build.ts'
import { MantaClient } from './manta-client.ts'
import { artifactOf, directoriesOf, fullPath } from './manta-layout.ts'
import { putText, renewPointer } from './manta-texts.ts'
import { MantaUndo } from './manta-undo.ts'
import type { Published, Publisher } from './publisher.ts'
import { rateText, transferReport } from './rate.ts'
import type { Server } from './server.ts'
import { parseServerUrl, parseUser, serverOptions } from './server-options.ts'
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
  const given = options.url?.href ?? env['MANTA_URL']
  if (!given) throw new UsageError('Option --to manta needs --url URL, or $MANTA_URL')
  const url = parseServerUrl(given)
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
      const build = await mantaBuild(publication, { base, stamp, branch, dirty })
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

async function publishBuild(
  client: MantaClient,
  url: URL,
  build: Build,
  scope: Scope,
  report: Report,
): Promise<Published> {
  const undo = new MantaUndo(client, build.directory)
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
  const started = performance.now()
  let before = 0
  for (const file of missing) {
    await act(`put ${file.path}, ${file.bytes} bytes, md5 ${file.md5}, to ${file.to}`, async () => {
      const sending = undo.object(file.to, file.md5)
      await client.put(file.to, file, file.md5, (sent) => {
        sending.whole = sent === file.bytes
        progress(before + sent)
      })
      sending.whole = false
    })
    before += file.bytes
  }
  if (missing.length > 0 && !session.dryRun) {
    const rate = rateText(total, performance.now() - started)
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

async function makeDirectories(client: MantaClient, { directory }: Build, undo: MantaUndo) {
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
