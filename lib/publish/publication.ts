/** What is to be published: the image and what lies beside it, read and compared with what it says of itself. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import { formatOfContent, nameOfImage } from '../image/formats.ts'
import { digestFile } from '../image/image-file.ts'
import { MANIFEST, matchManifest } from '../image/inspect.ts'
import { readManifest } from '../image/read-manifest.ts'
import { parseStamp } from '../image/stamp.ts'
import type { Publication } from './publisher.ts'

/**
 * Read an image.
 *
 * @param word its manifest, or the image itself where none goes with it
 * @throws {BuildError} when something can't be read, or the file is not what the manifest speaks of
 */
export async function readPublication(word: string): Promise<Publication> {
  const path = resolve(word)
  const directory = dirname(path)
  const info = await stat(path).catch((error: unknown) => {
    throw explain(`read "${word}"`, error)
  })
  if (info.isDirectory()) {
    throw new BuildError(`Cannot publish "${word}": it is a directory`, {
      hint: 'Name the .imgmanifest file in it, or the image',
    })
  }
  const stamp = parseStamp(basename(directory))
  const own = MANIFEST.test(path) ? await withManifest(path) : await withoutManifest(path)
  const base = basename(own.manifest?.path ?? own.image.path)
  const mine = (name: string) =>
    // A build's directory is the build's alone; elsewhere it is what has the image's name.
    stamp
      ? true
      : name.startsWith(`${MANIFEST.test(base) ? base.replace(MANIFEST, '') : nameOfImage(base)}.`)
  const taken = [own.image.path, own.manifest?.path]
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    throw explain(`list "${directory}"`, error)
  })
  const others = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.partial') && mine(entry.name))
    .map(({ name }) => join(directory, name))
    .filter((one) => !taken.includes(one))
    .sort()
  return { ...own, version: own.version ?? dayOf(stamp?.at), others, stamp: stamp?.text }
}

const dayOf = (at: Date | undefined) => at?.toISOString().slice(0, 10).replaceAll('-', '')

type Own = Pick<Publication, 'name' | 'version' | 'image' | 'manifest'>

async function withManifest(path: string): Promise<Own> {
  const { name, version } = await readManifest(path)
  const content = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> // as validated
  const { file, format } = await matchManifest(path)
  return { name, version, image: { ...file, format }, manifest: { path, content } }
}

async function withoutManifest(path: string): Promise<Own> {
  const format = await formatOfContent(path)
  const [, name, version] = /^(.+)-(\d{8})$/.exec(nameOfImage(path)) ?? []
  const image = { ...(await digestFile(path)), format }
  return { name: name ?? nameOfImage(path), version, image, manifest: undefined }
}
