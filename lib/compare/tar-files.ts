/**
 * The files of a tar as values that can be compared: all that a file has, its content as a digest. Memory is some
 * 500 bytes a file.
 *
 * A hard link has all that its target has; the names of one file are known by the first of them in order, so that it
 * does not matter in which order a tar has them.
 * Source: POSIX, "pax Interchange Format"; GNU tar's manual, "Extended attributes".
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Header } from 'tar-stream'
import { BuildError } from '../cli/errors.ts'
import { stopSignal } from '../cli/session.ts'
import { exactParser } from './tar-attributes.ts'

export type FileEntry = {
  type: string
  /** Octal, four digits. */
  mode: string
  /** `uid:gid` */
  owner: string
  size: number
  /** Seconds since the epoch, as exact as the tar has them. */
  mtime: string
  /** Of a symbolic link. */
  target?: string
  /** Of a device: `major:minor`. */
  device?: string
  /** The first name of a file that has several. */
  linked?: string
  /** SHA-256 of the content. */
  digest?: string
  /** Extended attributes, ACLs and capabilities, by name. */
  attributes: Map<string, string>
  /** The content, where it is kept. */
  text?: string
}

/** By path, without a leading slash or dot; the root itself is `/`. */
export type Files = Map<string, FileEntry>

/** Texts longer than this are no short ones. */
export const LONGEST_TEXT = 16 * 1024
/** As grep and diff tell them from what is none. */
export const isText = (bytes: Buffer) => !bytes.includes(0)

export type ReadTarOptions = {
  /** Keep the contents of short text files. */
  keepTexts?: boolean
  /** Hears how many files there are so far. */
  onFile?: (count: number) => void
}

/**
 * Read a tar to its end.
 *
 * @param shown the image's path, for messages
 * @throws {BuildError} when it is damaged or cut off, and whatever the pieces throw
 */
export async function readTarFiles(
  pieces: AsyncIterable<Buffer>,
  shown: string,
  options: ReadTarOptions = {},
): Promise<Files> {
  const files: Files = new Map()
  const links = new Map<string, string>()
  const { parser, attributesOf } = exactParser()
  let fault: unknown
  const source = (async function* () {
    try {
      for await (const piece of pieces) {
        stopSignal().throwIfAborted()
        yield piece
      }
    } catch (error) {
      fault = error // the parser would tell another story
      throw error
    }
  })()
  const read = async () => {
    for await (const entry of parser) {
      const { header } = entry
      const path = pathOf(header.name)
      const attributes = attributesOf()
      const content = await contentOf(header, entry as AsyncIterable<unknown>, options)
      if (header.type === 'link') links.set(path, pathOf(header.linkname))
      else files.set(path, { ...entryOf(header, attributes), ...content })
      options.onFile?.(files.size + links.size)
    }
  }
  try {
    await Promise.all([pipeline(Readable.from(source), parser as never), read()])
  } catch (error) {
    const reason: unknown = fault ?? error
    if (reason instanceof BuildError || stopSignal().aborted) throw reason
    throw new BuildError(
      `Cannot read the files of "${shown}": the tar is damaged or cut off (${(reason as Error).message})`,
      { hint: 'Fetch or build it again', cause: reason },
    )
  }
  addLinks(files, links)
  return files
}

function pathOf(name: string): string {
  return (
    name
      .replace(/^(\.?\/)+/, '')
      .replace(/\/+$/, '')
      .replace(/^\.$/, '') || '/'
  )
}

function entryOf(header: Header, attributes: Map<string, string>): FileEntry {
  const { type, mode, uid, gid, size, mtime, linkname } = header
  const pax = header.pax as Record<string, string> | null | undefined
  const isDevice = type === 'character-device' || type === 'block-device'
  return {
    type: (type as string | null) ?? 'something unknown',
    mode: (mode & 0o7777).toString(8).padStart(4, '0'),
    owner: `${pax?.['uid'] ?? uid}:${pax?.['gid'] ?? gid}`,
    size,
    mtime: pax?.['mtime'] ?? String(mtime.getTime() / 1000),
    attributes,
    ...(type === 'symlink' && { target: linkname ?? '' }),
    ...(isDevice && { device: `${header.devmajor}:${header.devminor}` }),
  }
}

/** Digest of a file, and its text where that is wanted. */
async function contentOf(
  { type, size }: Header,
  content: AsyncIterable<unknown>,
  { keepTexts = false }: ReadTarOptions,
): Promise<Pick<FileEntry, 'digest' | 'text'>> {
  const hash = createHash('sha256')
  const isShort = keepTexts && size <= LONGEST_TEXT
  const held: Buffer[] = []
  for await (const piece of content as AsyncIterable<Buffer>) {
    hash.update(piece)
    if (isShort) held.push(piece)
  }
  if (type !== 'file' && size === 0) return {}
  const digest = hash.digest('hex')
  const bytes = Buffer.concat(held)
  return { digest, ...(isShort && isText(bytes) && { text: bytes.toString('utf8') }) }
}

function addLinks(files: Files, links: Map<string, string>): void {
  const names = new Map<string, string[]>()
  for (const [path, next] of links) {
    let target = next
    // Another name may be named in place of the file; more steps than links are a circle.
    for (let steps = 0; links.has(target) && steps < links.size; steps++)
      target = links.get(target)!
    names.set(target, [...(names.get(target) ?? [target]), path])
  }
  for (const [target, paths] of names) {
    const file = files.get(target)
    const linked = paths.sort(inOrder)[0]!
    for (const path of paths) {
      if (file) files.set(path, { ...file, linked })
      // Its target is in no tar that is whole; it is told by that.
      else if (links.has(path)) files.set(path, { ...LOST, target })
    }
  }
}

const LOST: FileEntry = {
  ...{ type: 'link', mode: '', owner: '', size: 0, mtime: '' },
  attributes: new Map(),
}

/** By the characters' numbers, not by language: the same everywhere. */
export const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
