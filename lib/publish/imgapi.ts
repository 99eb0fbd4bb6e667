/**
 * Publishes to an IMGAPI: that of a Triton data centre, or an image repository. What fails or is interrupted before
 * the image is activated is deleted there again.
 */
import { BuildError, UsageError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Options, OptionTable } from '../cli/options.ts'
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { parseStamp } from '../image/stamp.ts'
import { ImgapiClient, isDuplicate } from './imgapi-client.ts'
import { type Image, imgapiImage, isPublished, sameFile, takingLines } from './imgapi-image.ts'
import type { Publication, Published, Publisher } from './publisher.ts'
import { rateText, transferReport } from './rate.ts'
import { Refused, type Server } from './server.ts'
import { parseServerUrl, serverOptions } from './server-options.ts'
import { findSigningKey } from './ssh-key.ts'

export const imgapiOptions = {
  ...serverOptions,
  channel: {
    arg: 'NAME',
    help: "imgapi: channel of the server; auto is staging for a stamp's branch release-YYYYMMDD, dev for main and master, else experimental (or $UPDATES_IMGADM_CHANNEL)",
  },
} as const satisfies OptionTable

type ImgapiOptions = Partial<Options<typeof imgapiOptions>>

/** Channel of a build's branch, as bits-upload chooses. */
export function channelOfBranch(branch: string): string {
  if (/^release-\d{8}$/.test(branch)) return 'staging'
  return /^(main|master|mantav1)$/.test(branch) ? 'dev' : 'experimental'
}

/**
 * A publisher for an IMGAPI.
 *
 * @throws {UsageError} when options are missing or do not fit together
 */
export function imgapiPublisher(
  options: ImgapiOptions,
  env: NodeJS.ProcessEnv = process.env,
  tuning: Pick<Server, 'idleMs' | 'pauseMs'> = {},
): Publisher {
  const given = options.url?.href ?? (env['IMGAPI_URL'] || env['UPDATES_IMGADM_URL'])
  if (!given) throw new UsageError('Option --to imgapi needs --url URL, or $IMGAPI_URL')
  const url = parseServerUrl(given)
  const ofUrl = url.searchParams.get('channel') // as sdc-clients takes it
  url.search = ''
  const channel = options.channel ?? (ofUrl || env['UPDATES_IMGADM_CHANNEL'] || undefined)
  const user = options.user ?? (env['UPDATES_IMGADM_USER'] || undefined)
  if (options.identity !== undefined && user === undefined) {
    throw new UsageError('Option --identity needs --user NAME, or $UPDATES_IMGADM_USER')
  }
  const identity = options.identity ?? (env['UPDATES_IMGADM_IDENTITY'] || '~/.ssh/id_rsa')
  return {
    async publish(publication, scope, report) {
      const image = imgapiImage(publication)
      const server: Server = {
        title: 'IMGAPI',
        url,
        signature: user === undefined ? undefined : await signatureOf(user, identity, env),
        headers: { 'accept-version': '~2' },
        ...tuning,
      }
      const wanted = channelFor(channel, publication)
      return publishImage(new ImgapiClient(server, wanted), url, wanted, image, scope, report)
    },
  }
}

/** Its server looks keys up by the account's name alone, and verifies RSA and DSA only. */
async function signatureOf(user: string, identity: string, env: NodeJS.ProcessEnv) {
  const key = await findSigningKey(identity, env)
  if (key.type !== 'rsa' && key.type !== 'dsa') {
    throw new BuildError(`Cannot sign with ${identity}: it is an ${key.type} key`, {
      hint: 'IMGAPI verifies signatures of RSA keys (and DSA) only: name such a one with --identity',
    })
  }
  return { keyId: user, key }
}

function channelFor(channel: string | undefined, { stamp }: Publication): string | undefined {
  if (channel !== 'auto') return channel
  const build = stamp === undefined ? undefined : parseStamp(stamp)
  if (build) return channelOfBranch(build.branch)
  throw new UsageError('Option --channel auto needs the stamp of a build', {
    hint: "The manifest does not lie in a build's directory: name the channel",
  })
}

async function publishImage(
  client: ImgapiClient,
  url: URL,
  channel: string | undefined,
  image: Image,
  scope: Scope,
  report: Report,
): Promise<Published> {
  const { uuid, file, title } = image
  const where = new URL(`${url.href.replace(/\/$/, '')}/images/${uuid}`)
  if (channel !== undefined) where.searchParams.set('channel', channel)
  const published = { where: where.href, existed: false, lines: takingLines(image) }
  const there = await act(`ask ${url.host} for image ${uuid}`, () => client.get(uuid))
  if (there && isPublished(there, image, channel, url)) {
    log.info(`Image ${uuid} (${title}) is there already, and the same: nothing changed`)
    return { ...published, existed: true }
  }
  let ours = false
  scope.onFailure(`Delete image ${uuid} on ${url.host} again`, async () => {
    if (ours) await deleteAgain(client, uuid, url)
  })
  if (there && sameFile(there, file)) {
    // An earlier run came as far as this.
    log.info(`Image ${uuid} is there with its file, but not activated: going on`)
    ours = true
  } else {
    if (there) {
      log.info(`Image ${uuid} is there without this file, left by a run that was cut off: deleting`)
      await client.delete(uuid)
    }
    await act(`import image ${uuid} (${title})`, async () => {
      report(undefined, 'importing')
      ours = true // also when no answer comes
      await client.import(uuid, image.manifest.content).catch((error: unknown) => {
        // It says no: then nothing of ours is there, and what is there is somebody else's.
        if (error instanceof Refused && error.status < 500) ours = false
        throw isDuplicate(error) ? duplicate(uuid, channel, error) : error
      })
    })
    await act(`send ${file.path}, ${file.bytes} bytes, sha1 ${file.sha1}`, () =>
      sendFile(client, image, report),
    )
  }
  await act(`activate image ${uuid}`, async () => {
    report(1, 'activating')
    await activate(client, uuid)
  })
  if (!session.dryRun) log.info(`Image ${uuid} (${title}) is active on ${url.host}`)
  return published
}

const duplicate = (uuid: string, channel: string | undefined, cause: Refused) =>
  new BuildError(`Cannot import image ${uuid}: it exists already, though it was not there before`, {
    hint:
      channel === undefined
        ? 'Is another publish-image at work? Run this again when that is done'
        : 'Is another publish-image at work, or the image in a channel that you may not see?',
    cause,
  })

async function sendFile(client: ImgapiClient, image: Image, report: Report): Promise<void> {
  const { uuid, file, compression, guid } = image
  const started = performance.now()
  const query = { compression, sha1: file.sha1, dataset_guid: guid }
  const onSent = transferReport(file.bytes, report)
  const got = await client.addFile(uuid, file, query, onSent)
  log.info(`Sent ${file.bytes} bytes, ${rateText(file.bytes, performance.now() - started)}`)
  if (sameFile(got, file)) return
  throw new BuildError(
    `The file did not arrive as it was sent: the server has sha1 ${got.file?.sha1}, ${got.file?.size} bytes, not ${file.sha1}, ${file.bytes} bytes`,
    { hint: 'Run this again; if it stays so, look for what is between here and the server' },
  )
}

/** A lost answer does not tell whether it was done, but the image does. */
async function activate(client: ImgapiClient, uuid: string): Promise<void> {
  try {
    await client.activate(uuid)
  } catch (error) {
    if ((await client.get(uuid).catch(() => undefined))?.state === 'active') return
    throw error
  }
}

/** Never one that has been activated: its file was compared, and others may have it by now. */
async function deleteAgain(client: ImgapiClient, uuid: string, { host }: URL): Promise<void> {
  const there = await client.get(uuid, true)
  if (!there) return
  if (there.state !== 'unactivated') {
    log.warn(`Image ${uuid} is ${there.state} on ${host} already, and stays`)
    return
  }
  await client.delete(uuid, true)
  log.info(`Deleted image ${uuid} on ${host} again: it was not activated`)
}
