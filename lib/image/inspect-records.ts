/** Are the files here that a manifest names beside its image, and are they those that it means? */
import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import { readSmallFile } from '../cli/small-file.ts'
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
    if (typeof name !== 'string' || typeof sha256 !== 'string' || name.includes('\0')) return []
    return [{ kind, name: basename(name), sha256 }] // beside the manifest, and nowhere else
  })
}

/** What is there in a value of JSON, on the way of these names; undefined where the way ends before. */
const within = (value: unknown, ...names: string[]): unknown =>
  names.reduce<unknown>(
    (at, name) =>
      typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined,
    value,
  )

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])

/** The image's SHA-256 by it, and what it says in a few words. */
function summary(kind: RecordKind, content: unknown): { image: unknown; says: string } {
  if (kind === 'sbom') {
    const hashes = listOf(within(content, 'metadata', 'component', 'hashes'))
    const packages = listOf(within(content, 'components')).filter(
      (one) => within(one, 'type') === 'library',
    )
    const own = hashes.find((one) => within(one, 'alg') === 'SHA-256')
    return { image: within(own, 'content'), says: `${packages.length} packages` }
  }
  const builder = within(content, 'predicate', 'runDetails', 'builder', 'id')
  const [subject] = listOf(within(content, 'subject'))
  return {
    image: within(subject, 'digest', 'sha256'),
    says: `built by ${typeof builder === 'string' ? oneLine(builder) : 'nobody'}`,
  }
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
      const isThere = await lstat(path).then(
        () => true,
        (error: unknown) => errorCode(error) !== 'ENOENT',
      )
      if (!isThere) return { ...record, state: 'missing', says: 'not here' }
      const text = await readSmallFile(path)
      const wrong = (says: string): FoundRecord => ({ ...record, state: 'wrong', says })
      const found = createHash('sha256').update(text).digest('hex')
      if (found !== record.sha256) {
        return wrong(`sha256 is ${record.sha256} in the manifest, ${found} in the file`)
      }
      let content: unknown
      try {
        content = JSON.parse(text.toString())
      } catch (error) {
        return wrong(`it is no JSON: ${oneLine((error as Error).message)}`)
      }
      const { image: speaksOf, says } = summary(record.kind, content)
      if (speaksOf !== image.sha256) return wrong('it speaks of another image')
      return { ...record, state: 'matches', says }
    }),
  )
}
