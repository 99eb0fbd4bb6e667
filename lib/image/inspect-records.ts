/** Are the files here that a manifest names beside its image, and are they those that it means? */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode, explain } from '../cli/errors.ts'
import type { ImageFile } from './image-file.ts'

export const RECORD_KINDS = ['sbom', 'provenance'] as const
export type RecordKind = (typeof RECORD_KINDS)[number]

/** As the manifest's tags name it. */
export type NamedRecord = { kind: RecordKind; name: string; sha256: string }

export type FoundRecord = NamedRecord & {
  /** An image is whole without them, and copies often come without. */
  state: 'matches' | 'missing' | 'wrong'
  /** What it holds, or what is wrong with it. */
  says: string
}

/** Of tags, which any tool may have written. */
export function namedRecords(tags: Readonly<Record<string, unknown>>): NamedRecord[] {
  return RECORD_KINDS.flatMap((kind) => {
    const name = tags[kind]
    const sha256 = tags[`${kind}_sha256`]
    if (typeof name !== 'string' || typeof sha256 !== 'string') return []
    return [{ kind, name: basename(name), sha256 }] // beside the manifest, and nowhere else
  })
}

/** What is looked at of their contents. */
type Content = {
  components?: { type?: string }[]
  metadata?: { component?: { hashes?: { alg?: string; content?: string }[] } }
  subject?: { digest?: { sha256?: string } }[]
  predicate?: { runDetails?: { builder?: { id?: string } } }
}

/** The image's SHA-256 by it, and what it says in a few words. */
function summary(kind: RecordKind, { components, metadata, subject, predicate }: Content) {
  if (kind === 'sbom') {
    const hashes = metadata?.component?.hashes ?? []
    const packages = (components ?? []).filter(({ type }) => type === 'library').length
    return {
      image: hashes.find(({ alg }) => alg === 'SHA-256')?.content,
      says: `${packages} packages`,
    }
  }
  const builder = predicate?.runDetails?.builder?.id ?? 'nobody'
  return { image: subject?.[0]?.digest?.sha256, says: `built by ${builder}` }
}

/**
 * Look at each: its digest is that of the tags, and the image that it speaks of is this one.
 *
 * @throws {BuildError} when one is there and can't be read
 */
export async function inspectRecords(
  records: readonly NamedRecord[],
  manifest: string,
  image: ImageFile,
): Promise<FoundRecord[]> {
  return Promise.all(
    records.map(async (record): Promise<FoundRecord> => {
      const path = join(dirname(manifest), record.name)
      let text: Buffer
      try {
        text = await readFile(path)
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw explain(`read "${path}"`, error)
        return { ...record, state: 'missing', says: 'not here' }
      }
      const wrong = (says: string): FoundRecord => ({ ...record, state: 'wrong', says })
      const found = createHash('sha256').update(text).digest('hex')
      if (found !== record.sha256) {
        return wrong(`sha256 is ${record.sha256} in the manifest, ${found} in the file`)
      }
      let content: Content
      try {
        content = JSON.parse(text.toString()) as Content
      } catch (error) {
        return wrong(`it is no JSON: ${(error as Error).message}`)
      }
      const { image: speaksOf, says } = summary(record.kind, content)
      if (speaksOf !== image.sha256) return wrong('it speaks of another image')
      return { ...record, state: 'matches', says }
    }),
  )
}
