/**
 * The content of a boot resource, part by part, each a request with a signature of its own: one request for
 * all of it is refused by size, or because its signature is older than five minutes when it has arrived.
 *
 * MAAS appends each part to what it has, and a part says nothing of its place. So a part whose answer was lost
 * is not sent again before MAAS was asked how much it has; and as that is told of its database, not of its
 * file, the digest that it takes at the end has the last word. What comes out wrong is started over.
 */
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import { ATTEMPTS, isStale, type MaasApi, refused } from './maas-api.ts'
import { countRegions, readResource, type ResourceFile } from './maas-resource.ts'

/** What MAAS' own client sends; its web server takes up to ten. */
export const PART_BYTES = 4 * 1024 ** 2
/** A proxy that does not take this takes nothing. */
const SMALLEST_PART = 64 * 1024
/** At the end MAAS reads all of it for its digest before it answers. */
const DIGEST_SECONDS = 1800
/** MAAS' words for parts that do not make the file that was announced. */
const SPOILT = /SHA256|too much data|complete file/i

export type Content = { path: string; bytes: number }

/**
 * How many bytes MAAS has of a file, as it goes on behind them; undefined when it does not tell that.
 * Before MAAS 3.5 `progress` was no percentage: hardly ever does that come out as a whole number.
 */
export async function receivedBytes(api: MaasApi, file: ResourceFile): Promise<number | undefined> {
  if (file.complete) return file.size
  if (file.progress <= 0) return 0
  const regions = await countRegions(api)
  const bytes = (file.progress / 100) * file.size * regions
  const whole = Math.round(bytes)
  return Math.abs(bytes - whole) < 0.01 && whole <= file.size ? whole : undefined
}

/**
 * Send what is behind `offset`.
 *
 * @param directory of this run alone, for the part that is under way
 * @param onBytes hears how many bytes MAAS has
 * @returns undefined when all of it was accepted; otherwise why it has to be started over
 * @throws {BuildError} when MAAS refuses, or goes on failing
 */
export async function uploadParts(
  api: MaasApi,
  resourceId: number,
  uri: string,
  content: Content,
  offset: number,
  directory: string,
  onBytes: (bytes: number) => void,
  partBytes = PART_BYTES,
): Promise<string | undefined> {
  const part = join(directory, 'part')
  let size = partBytes
  let failures = 0
  onBytes(offset)
  while (offset < content.bytes) {
    const length = Math.min(size, content.bytes - offset)
    const last = offset + length === content.bytes
    await writeFile(part, await readPart(content.path, offset, length))
    const answer = await api.request('PUT', uri, {
      upload: part,
      ...(last && { stallSeconds: DIGEST_SECONDS }),
    })
    if (answer.status === 200) {
      offset += length
      failures = 0
      onBytes(offset)
      continue
    }
    const tooLarge = answer.status === 413 || isStale(answer.status, answer.text)
    if (tooLarge && size > SMALLEST_PART) {
      size = Math.max(SMALLEST_PART, Math.floor(size / 2))
      continue
    }
    if (answer.status === 400 && SPOILT.test(answer.text))
      return `MAAS says: ${oneLine(answer.text)}`
    failures += 1
    const what = `upload ${content.path} to MAAS at byte ${offset}`
    if (!answer.passing || failures >= ATTEMPTS) throw refused(what, api.url, answer)
    await api.pause(failures)
    const there = await readResource(api, resourceId)
    const file = there.files.find(({ uploadUri }) => uploadUri === uri) ?? there.files[0]
    const received = file && (await receivedBytes(api, file))
    // With the answer to the last part MAAS says whether the content is right: that is not told again.
    if (received === offset + length && !last) {
      offset = received
      onBytes(offset)
    } else if (received !== offset) return 'MAAS lost a part, or its answer was lost'
  }
  return undefined
}

async function readPart(path: string, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  try {
    const file = await open(path, 'r')
    try {
      const { bytesRead } = await file.read(bytes, 0, length, offset)
      if (bytesRead === length) return bytes
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  throw new BuildError(`Cannot upload "${path}": it became shorter meanwhile`)
}
