/**
 * What a comparison finds, in values that print as text and as JSON. Of two images the first is always `a`, the
 * second `b`.
 */

import type { Range } from './byte-ranges.ts'

/** A value that one of them has by a name: a field of a header, of a table, of a superblock. */
export type Fact = readonly [name: string, value: string]

/** One thing that is not the same. */
export type Difference = {
  /** A file, a field of some header or table, or bytes that nothing better is known of. */
  kind: 'file' | 'field' | 'bytes'
  /** Its path, its name, or what the bytes belong to. */
  what: string
  /** Added: only the second image has it. */
  change: 'added' | 'removed' | 'changed'
  a?: string
  b?: string
  /** Of a file: which of its properties. */
  fields?: Field[]
  /** Where: bytes from the beginning of what it is. */
  ranges?: Range[]
  /** Of a text file: unified, short. */
  diff?: string
}

export type Field = { field: string; a: string; b: string }

/** One part of an image, compared. */
export type Part = {
  part: string
  state: 'same' | 'differs' | 'not compared'
  /** In a line: what it is, how it differs, or why it was not compared. */
  says: string
  differences: Difference[]
}

/** @param says what it is, for where nothing differs */
export function partOf(part: string, differences: Difference[], says: string): Part {
  if (differences.length === 0) return { part, state: 'same', says, differences }
  return { part, state: 'differs', says: inShort(differences), differences }
}

export function notCompared(part: string, says: string): Part {
  return { part, state: 'not compared', says, differences: [] }
}

/** Names told in a line. */
const NAMED = 3

/** Files by their groups, the rest by its names. */
function inShort(differences: readonly Difference[]): string {
  const groups = fileGroups(differences).map(({ heading, files }) => `${files.length} ${heading}`)
  const others = differences.filter(({ kind }) => kind !== 'file').map(({ what }) => what)
  const named = others.slice(0, NAMED)
  const more = others.length - named.length
  return [...groups, ...named, ...(more > 0 ? [`${more} more`] : [])].join(', ')
}

const isContent = ({ field }: Field) => ['type', 'content', 'link target', 'device'].includes(field)
export const isTime = ({ field }: Field) => field === 'mtime'

/** Each with its heading, in the order of what they tell; a file belongs to the first that it fits. */
const GROUPS: readonly (readonly [heading: string, has: (one: Difference) => boolean])[] = [
  ['only in A', ({ change }) => change === 'removed'],
  ['only in B', ({ change }) => change === 'added'],
  ['with other content', ({ fields = [] }) => fields.some(isContent)],
  ['with other mode, owner or attributes', ({ fields = [] }) => !fields.every(isTime)],
  ['with another time alone', () => true],
]

/** The files among differences, in groups; none is empty. */
export function fileGroups(differences: readonly Difference[]) {
  let left = differences.filter(({ kind }) => kind === 'file')
  return GROUPS.flatMap(([heading, has]) => {
    const files = left.filter(has)
    left = left.filter((one) => !has(one))
    return files.length === 0 ? [] : [{ heading, files }]
  })
}

/** Facts by name, in the order of `a`, what only `b` has behind them. */
export function compareFacts(a: readonly Fact[], b: readonly Fact[]): Difference[] {
  const [inA, inB] = [new Map(a), new Map(b)]
  return [...new Set([...inA.keys(), ...inB.keys()])].flatMap((what): Difference[] => {
    const [one, other] = [inA.get(what), inB.get(what)]
    if (one === other) return []
    if (one === undefined) return [{ kind: 'field', what, change: 'added', b: other! }]
    if (other === undefined) return [{ kind: 'field', what, change: 'removed', a: one }]
    return [{ kind: 'field', what, change: 'changed', a: one, b: other }]
  })
}
