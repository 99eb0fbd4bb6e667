/**
 * Installation media: the newest point release that a vendor's signed checksum list names, fetched
 * once, and verified before every use.
 *
 * Kept in the cache by digest, so that nothing is taken for what it is not; a note beside the media
 * says which one a source led to, for builds without a network.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { makeParents } from '../host/directories.ts'
import { type Digest, newestMatch, parseChecksums } from './checksums.ts'
import { fetchFile, type FetchOptions } from './fetch.ts'
import { withLock } from '../host/lock.ts'
import { type Trust, verifyClearsigned, verifyDetached } from './signature.ts'

export type MediaSource = {
  /** For the cache's note: `debian-13`. */
  name: string
  /** Addresses of folders, tried in turn: the current release, older ones, the archive. */
  roots: readonly string[]
  /**
   * Whether a root is a page that links to media in other folders, rather than a folder with a list of
   * its own. The newest link chooses the list then.
   */
  linked?: true
  /**
   * The checksum list: a name in the folder, or where media are linked an address. `$1` and so on are what
   * the groups of `file` have found there.
   */
  sums: string
  /** Where the list's signature is: in itself, in a file beside it, or nowhere. */
  signature: 'inside' | 'none' | { beside: string }
  /** Names of the media, of which the newest is taken. */
  file: RegExp
  /** What to believe signatures by; undefined where there is none. */
  trust: Trust | undefined
  /** Nothing is fetched by the list: one that nobody signed will do. */
  listed?: true
  /** The operator's own digest, in hexadecimal: the only trust in a list that nobody signed. */
  pinned?: string | undefined
}

export type Media = {
  path: string
  name: string
  /** What it was verified by; undefined: a file of the operator, taken as it is. */
  digest: Digest | undefined
  from: string
}

type Note = { name: string; digest: Digest; from: string }

/** Digest of a file, in lower-case hexadecimal. */
export async function digestOf(path: string, algorithm: Digest['algorithm']): Promise<string> {
  const hash = createHash(algorithm)
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}

/**
 * The media of a source, in the cache and verified.
 *
 * @param cache directory
 * @throws {BuildError} when no root has it, its list is not the vendor's, or it does not match its digest
 */
export async function fetchMedia(
  source: MediaSource,
  cache: string,
  options: FetchOptions & { offline?: boolean } = {},
): Promise<Media> {
  const notePath = join(cache, `${source.name}.json`)
  if (options.offline) return cachedMedia(source, cache, notePath)
  await makeParents(cache)
  const note = await findMedia(source, cache, options)
  const path = placeOf(cache, note)
  await withLock(path, async () => {
    if (await isWhole(path, note.digest)) return
    await fetchFile(new URL(note.name, note.from).href, path, options)
    const found = await digestOf(path, note.digest.algorithm)
    if (found === note.digest.hex) return
    await rm(path)
    throw new BuildError(
      `Cannot use ${new URL(note.name, note.from).href}: its ${note.digest.algorithm} is ${found}, listed is ${note.digest.hex}`,
      { hint: 'The mirror is broken or being renewed: try again later, or another one' },
    )
  })
  const partial = `${notePath}.${process.pid}.partial`
  // An address may have a password in it; this cache may be another's to read.
  await writeFile(partial, `${JSON.stringify(note, undefined, 2)}\n`, { mode: 0o600 })
  await rename(partial, notePath)
  return { ...note, path }
}

/**
 * Name of a source's newest medium, as its verified list has it; where the vendor signs nothing, as the
 * list has it.
 *
 * @param work directory for what lies between
 * @throws {BuildError} as fetchMedia
 */
export async function newestMedia(
  source: MediaSource,
  work: string,
  options: FetchOptions = {},
): Promise<string> {
  return (await findMedia({ ...source, listed: true }, work, options)).name
}

/** Where the cache keeps media of this digest. */
export const placeOf = (cache: string, { name, digest }: Note) =>
  join(cache, `${digest.algorithm}-${digest.hex.slice(0, 16)}`, name)

/** Whether a file is there and has this digest; one that has another is removed. */
export async function isWhole(path: string, { algorithm, hex }: Digest): Promise<boolean> {
  const found = await digestOf(path, algorithm).catch(() => undefined)
  if (found === hex) return true
  if (found !== undefined) {
    log.warn(`${path} is damaged: fetching it again`)
    await rm(path)
  }
  return false
}

async function cachedMedia(source: MediaSource, cache: string, notePath: string): Promise<Media> {
  const text = await readFile(notePath, 'utf8').catch(() => undefined)
  const missing = (what: string) =>
    new BuildError(`Cannot use ${source.name}'s media offline: ${what}`, {
      hint: 'Fetch it once with a network, or name a file with --iso or --base',
    })
  if (text === undefined) throw missing(`the cache ${cache} has none`)
  const note = readNote(text)
  if (!note) throw missing(`its note ${notePath} is damaged`)
  const path = placeOf(cache, note)
  if (!(await isWhole(path, note.digest))) throw missing(`${path} is gone or damaged`)
  return { ...note, path }
}

/** A note as it was written; undefined: it is none. */
function readNote(text: string): Note | undefined {
  try {
    const { name, digest, from } = JSON.parse(text) as Partial<Note>
    const { algorithm, hex } = digest ?? {}
    if (typeof name !== 'string' || typeof from !== 'string' || typeof hex !== 'string') return
    if (algorithm !== 'sha256' && algorithm !== 'sha512') return
    return { name, digest: { algorithm, hex }, from }
  } catch {
    return undefined
  }
}

/** The newest media that the first root with a list of it has. */
async function findMedia(source: MediaSource, cache: string, options: FetchOptions): Promise<Note> {
  const problems: string[] = []
  for (const root of source.roots) {
    const work = await mkdtemp(join(cache, '.list-'))
    try {
      return await findIn(root, source, work, options)
    } catch (error) {
      // A list that is not the vendor's is no reason to look elsewhere: somebody is at work there.
      if (!(error instanceof BuildError) || /^Cannot (trust|use key)/.test(error.message))
        throw error
      problems.push(error.message)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  throw new BuildError(`Cannot find the media of ${source.name}: ${problems.join('; ')}`)
}

async function findIn(
  root: string,
  source: MediaSource,
  work: string,
  options: FetchOptions,
): Promise<Note> {
  const { sums, file, pinned } = source
  const folder = root.endsWith('/') ? root : `${root}/`
  const linked = source.linked ? await newestLink(root, file, work, options) : undefined
  const from = linked?.folder ?? folder
  const address = linked
    ? sums.replaceAll(/\$(\d)/g, (_, group: string) => linked.found[Number(group)] ?? '')
    : `${from}${sums}`
  const list = await fetchList(source, address, work, options)
  const digests = parseChecksums(list)
  const pattern = linked ? exactly(linked.name) : file
  const name = newestMatch(digests.keys(), pattern, address)
  if (!isFileName(name)) {
    throw new BuildError(`Cannot trust ${address}: it lists "${name}", which is no file's name`)
  }
  const digest = digests.get(name)!
  if (source.signature === 'none' && pinned === undefined && !source.listed) {
    throw new BuildError(`Cannot trust ${address}: the vendor does not sign it`, {
      hint: `It gives ${digest.algorithm} ${digest.hex} for ${name}: when you have compared that with another source, say --checksum ${digest.hex}`,
    })
  }
  if (pinned !== undefined && pinned.replace(/^sha\d+:/i, '').toLowerCase() !== digest.hex) {
    throw new BuildError(
      `Cannot trust ${address}: it gives ${digest.hex} for ${name}, --checksum is ${pinned}`,
    )
  }
  return { name, digest, from }
}

/** A list may name anything; what it names becomes a file in the cache. */
const isFileName = (name: string) => /^[^./-][^/\0]*$/.test(name)

/** A pattern for one name. */
const exactly = (name: string) => new RegExp(`^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`)

/** The newest medium that a page links to, and what the pattern's groups found in its name. */
async function newestLink(page: string, file: RegExp, work: string, options: FetchOptions) {
  const path = join(work, 'page')
  await fetchFile(page, path, { ...options, report: () => {} })
  return newestLinkIn(await readFile(path, 'utf8'), page, file)
}

/** The same of a page's text. @throws {BuildError} when it has none */
export function newestLinkIn(text: string, page: string, file: RegExp) {
  const links = [...text.matchAll(/\bhref\s*=\s*["']?([^"'\s>]+)/gi)]
    .flatMap(([, link]) => (URL.canParse(link!, page) ? [new URL(link!, page)] : []))
    .filter(({ protocol }) => /^https?:$/.test(protocol)) // others have no folder
  const byName = new Map(links.map((link) => [link.pathname.split('/').at(-1)!, link]))
  const name = newestMatch(byName.keys(), file, page)
  return { name, folder: new URL('.', byName.get(name)!).href, found: file.exec(name)! }
}

/** The checksum list at an address, once it is known to be the vendor's. */
async function fetchList(
  { signature, trust }: MediaSource,
  address: string,
  work: string,
  options: FetchOptions,
) {
  const quiet = { ...options, report: () => {} } // a few hundred bytes are no progress
  await fetchFile(address, join(work, 'sums'), quiet)
  const data = await readFile(join(work, 'sums'))
  if (signature === 'none') return data.toString('utf8')
  if (!trust) throw new Error(`No key to check ${address} with`)
  if (signature === 'inside') {
    return (await verifyClearsigned(address, data.toString('utf8'), trust)).text
  }
  await fetchFile(new URL(signature.beside, address).href, join(work, 'signature'), quiet)
  const beside = await readFile(join(work, 'signature'))
  // Some vendors' file beside the list is a copy of it that carries its signature.
  if (beside.subarray(0, 64).toString('latin1').includes('BEGIN PGP SIGNED MESSAGE')) {
    return (await verifyClearsigned(address, beside.toString('utf8'), trust)).text
  }
  await verifyDetached(address, data, beside, trust)
  return data.toString('utf8')
}
