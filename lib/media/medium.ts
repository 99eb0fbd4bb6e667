/**
 * What an installation medium says of itself: its label, its files, and the notes by which vendors name
 * release and architecture. Sources: ECMA-119, 8.4 (volume descriptor); productmd's .treeinfo; Debian's
 * and Ubuntu's /.disk/info.
 */
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { checkIso, extractFromIso, listIso } from './iso9660.ts'

export type Medium = {
  label: string
  /** Paths of all files. */
  files: ReadonlySet<string>
  /** First line of /.disk/info. */
  info: string | undefined
  /** Family, version and architecture of /.treeinfo, as one text: `Rocky Linux 9.5 x86_64`. */
  tree: string | undefined
}

/** How a release's media name themselves; what a medium does not have is not asked for. */
export type MediumIdentity = { label?: RegExp; info?: RegExp; tree?: RegExp }

const LABEL = { offset: 16 * 2048 + 40, bytes: 32 }

/** The volume identifier. */
async function labelOf(path: string): Promise<string> {
  const bytes = Buffer.alloc(LABEL.bytes)
  const file = await open(path)
  try {
    await file.read(bytes, 0, bytes.length, LABEL.offset)
  } finally {
    await file.close()
  }
  return bytes.toString('latin1').replace(/[\0 ]+$/, '')
}

/** `[general]` of a .treeinfo. */
export function readTreeinfo(text: string): string | undefined {
  const general = /^\[general\]$([^]*?)(?=^\[|$(?![^]))/m.exec(text)?.[1] ?? ''
  const field = (name: string) =>
    new RegExp(`^${name}[^\\S\\n]*=(.*)$`, 'm').exec(general)?.[1]?.trim()
  const family = field('family')
  return family === undefined ? undefined : `${family} ${field('version')} ${field('arch')}`
}

/** @throws {BuildError} when the file is no medium, or damaged */
export async function readMedium(path: string): Promise<Medium> {
  await checkIso(path)
  const files = new Set(await listIso(path))
  const notes = ['/.disk/info', '/.treeinfo'].filter((name) => files.has(name))
  const texts = new Map<string, string>()
  const dir = await mkdtemp(join(tmpdir(), 'medium-'))
  try {
    const taken = new Map(notes.map((name, i) => [name, join(dir, String(i))]))
    if (notes.length > 0) await extractFromIso(path, taken)
    for (const [name, file] of taken) texts.set(name, await readFile(file, 'utf8'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return {
    label: await labelOf(path),
    files,
    info: texts.get('/.disk/info')?.split('\n')[0],
    tree: readTreeinfo(texts.get('/.treeinfo') ?? ''),
  }
}

/**
 * Is this the release that was asked for?
 *
 * @param title of that release, for the message
 * @throws {BuildError} when the medium says that it is another
 */
export function checkMedium(path: string, medium: Medium, identity: MediumIdentity, title: string) {
  // The notes say more than the label, and respins keep them.
  const says = (['info', 'tree', 'label'] as const).find(
    (source) => identity[source] !== undefined && medium[source] !== undefined,
  )
  if (says === undefined || identity[says]!.test(medium[says]!)) return
  throw new BuildError(`Cannot install ${title} from "${path}": it says "${medium[says]}"`, {
    hint: 'It is another release, distribution or architecture: take the right ISO, or the right command',
  })
}
