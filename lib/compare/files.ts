/** Two trees of files, compared name by name and property by property. */
import { createTwoFilesPatch } from 'diff'
import type { Difference, Field } from './difference.ts'
import { type FileEntry, type Files, inOrder } from './tar-files.ts'

export type CompareFilesOptions = {
  /** Times of modification don't count. */
  ignoreTimes?: boolean
}

/** Properties in the order in which they are told; times last, as the least telling. */
const PROPERTIES: readonly (readonly [
  field: string,
  of: (file: FileEntry) => string | undefined,
])[] = [
  ['type', ({ type }) => type],
  ['content', ({ type, digest, size }) => digest && type && `${size} bytes, sha256 ${digest}`],
  ['link target', ({ target }) => target],
  ['device', ({ device }) => device],
  ['mode', ({ mode }) => mode],
  ['owner', ({ owner }) => owner],
  ['hard link to', ({ linked }) => linked],
]

/** All that differs, by path. */
export function compareFiles(
  a: Files,
  b: Files,
  { ignoreTimes = false }: CompareFilesOptions = {},
): Difference[] {
  const paths = [...new Set([...a.keys(), ...b.keys()])].sort(inOrder)
  return paths.flatMap((what): Difference[] => {
    const [one, other] = [a.get(what), b.get(what)]
    if (!one) return [{ kind: 'file', what, change: 'added', b: inWords(other!) }]
    if (!other) return [{ kind: 'file', what, change: 'removed', a: inWords(one) }]
    const fields = differingFields(one, other, ignoreTimes)
    if (fields.length === 0) return []
    const diff = textDiff(what, one, other)
    return [{ kind: 'file', what, change: 'changed', fields, ...(diff !== undefined && { diff }) }]
  })
}

/** What a file is, in a few words. */
function inWords({ type, mode, owner, size, target, device }: FileEntry): string {
  if (target !== undefined) return `${type} to ${target}`
  const more = type === 'file' ? `, ${size} bytes` : device ? ` ${device}` : ''
  return `${type}${more}, mode ${mode}, owner ${owner}`
}

function differingFields(one: FileEntry, other: FileEntry, ignoreTimes: boolean): Field[] {
  const fields: Field[] = []
  const add = (field: string, a: string | undefined, b: string | undefined) => {
    if (a !== b) fields.push({ field, a: a ?? 'none', b: b ?? 'none' })
  }
  for (const [field, of] of PROPERTIES) {
    add(field, of(one), of(other))
    if (field === 'type' && fields.length > 0) return fields // the rest follows from that
  }
  for (const name of new Set([...one.attributes.keys(), ...other.attributes.keys()])) {
    add(name, one.attributes.get(name), other.attributes.get(name))
  }
  if (!ignoreTimes && one.mtime !== other.mtime) {
    fields.push({ field: 'mtime', a: showTime(one.mtime), b: showTime(other.mtime) })
  }
  return fields
}

/** `2026-11-30T04:03:12Z`, with a fraction where there is one. */
export function showTime(seconds: string): string {
  const [whole = '', fraction] = seconds.split('.')
  const date = new Date(Number(whole) * 1000)
  if (Number.isNaN(date.getTime())) return `second ${seconds}`
  const text = date.toISOString().slice(0, 19)
  return `${text}${fraction === undefined ? '' : `.${fraction}`}Z`
}

/** Lines around a change, and how long a comparison of lines may take, in milliseconds. */
const CONTEXT = 2
const LONGEST_MS = 1000

function textDiff(path: string, { text: a }: FileEntry, { text: b }: FileEntry) {
  if (a === undefined || b === undefined || a === b) return undefined
  const options = { context: CONTEXT, timeout: LONGEST_MS }
  const patch = createTwoFilesPatch(`a/${path}`, `b/${path}`, a, b, '', '', options)
  // Its first line is a rule.
  return patch?.slice(patch.indexOf('\n') + 1).trimEnd()
}
