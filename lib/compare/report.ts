/**
 * A comparison as an operator reads it: the verdict, a line for each part, then what differs in each, the most
 * telling first. Long lists are cut, and say so.
 */
import type { Range } from './byte-ranges.ts'
import type { Comparison } from './compare-images.ts'
import { type Difference, type Field, fileGroups, isTime, type Part } from './difference.ts'

/** Lines of a list, and ranges in a line, that are shown without --all. */
const LISTED = 12
const LISTED_TIMES = 3
const LISTED_DIFF = 24
const RANGES = 3

type Options = { all?: boolean }

/** An image's names and texts may hold what a terminal obeys, or a line end: these are shown, not sent. */
const shown = (text: string) =>
  text.replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, (one) => {
    return `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`
  })

/** The text for standard output; with `all` nothing is cut. */
export function describe(comparison: Comparison, options: Options = {}): string {
  const { parts } = comparison
  const rows = parts.map(({ part, state, says }) => [part, state, says])
  const details = parts
    .filter(({ differences }) => differences.length > 0)
    .reverse() // from the files up: that a digest differs tells least
    .flatMap((part) => ['', ...describePart(part, options)])
  const lines = [...heads(comparison), '', verdict(comparison), ...inColumns(rows, '  ')]
  return [...lines, ...details].map(shown).join('\n')
}

function heads({ a, b }: Comparison): string[] {
  const rows = [a, b].map(({ path, format, bytes }, i) => [
    'AB'[i]!,
    path,
    `${format}, ${bytes} bytes`,
  ])
  return inColumns(rows, '')
}

function verdict({ same, parts }: Comparison): string {
  const differing = parts.filter(({ state }) => state === 'differs').length
  const left = parts.filter(({ state }) => state === 'not compared').length
  if (same && left === 0) return 'The same:'
  if (same) return 'The same, as far as they were compared:'
  return `Different, ${differing} of ${parts.length} parts:`
}

/** Rows with their columns aligned; the last one takes what room it needs. */
function inColumns(rows: readonly (readonly string[])[], indent: string): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows.map((row) =>
    `${indent}${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd(),
  )
}

function describePart({ part, differences }: Part, options: Options): string[] {
  const of = (kind: Difference['kind']) => differences.filter((one) => one.kind === kind)
  const title = part.charAt(0).toUpperCase() + part.slice(1)
  return [
    title,
    ...describeFiles(differences, options),
    ...describeFields(of('field'), options),
    ...of('bytes').map((one) => `  ${one.what}, ${describeRanges(one.ranges ?? [], options)}`),
  ]
}

/** The first of some lines, and how many there are besides. */
function cut(
  blocks: readonly (readonly string[])[],
  listed: number,
  { all }: Options,
  indent: string,
): string[] {
  const shown = all ? blocks : blocks.slice(0, listed)
  const more = blocks.length - shown.length
  return [...shown.flat(), ...(more > 0 ? [`${indent}... and ${more} more (--all)`] : [])]
}

function describeFields(fields: readonly Difference[], options: Options): string[] {
  if (fields.length === 0) return []
  const rows = fields.map(({ what, a, b }) => [what, `${a ?? '(none)'} -> ${b ?? '(none)'}`])
  const lines = inColumns(rows, '  ').map((line) => [line])
  return cut(lines, LISTED, options, '  ')
}

function describeRanges(ranges: readonly Range[], { all }: Options): string {
  const shown = (all ? ranges : ranges.slice(0, RANGES)).map(({ offset, length }) =>
    length === 1 ? `${offset}` : `${offset}-${offset + length - 1}`,
  )
  const more = ranges.length - shown.length
  return `within bytes ${shown.join(', ')}${more > 0 ? ` and at ${more} more places (--all)` : ''}`
}

function describeFiles(differences: readonly Difference[], options: Options): string[] {
  return fileGroups(differences).flatMap(({ heading, files }) => {
    const blocks = options.all
      ? files.map((one) => describeFile(one, options))
      : topmost(files).map((top) => describeTopmost(top, options))
    const listed = files.every(({ fields }) => fields?.every(isTime)) ? LISTED_TIMES : LISTED
    return [`  ${files.length} ${heading}`, ...cut(blocks, listed, options, '    ')]
  })
}

type Topmost = { one: Difference; below: number }

/** What lies below a directory that one side does not have at all is counted, not listed. */
function topmost(files: readonly Difference[]): Topmost[] {
  const tops = new Map<string, Topmost>()
  for (const one of files) {
    const top = one.change === 'changed' ? undefined : above(one.what, tops)
    if (top) top.below += 1
    else tops.set(one.what, { one, below: 0 })
  }
  return [...tops.values()]
}

/** Directories come before what is in them. */
function above(path: string, tops: ReadonlyMap<string, Topmost>): Topmost | undefined {
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const top = tops.get(path.slice(0, at))
    if (top) return top
  }
  return undefined
}

function describeTopmost({ one, below }: Topmost, options: Options): string[] {
  if (below === 0) return describeFile(one, options)
  return [`    ${one.what}/  and ${below} below`]
}

function describeFile({ what, a, b, fields = [], diff }: Difference, options: Options): string[] {
  const onlyTime = fields.every(isTime)
  const changes = fields.map((field) => describeChange(field, onlyTime))
  const lines = diff?.split('\n').map((line) => [line === ' ' ? '' : `      ${line}`]) ?? []
  return [
    `    ${what}  ${a ?? b ?? changes.join('; ')}`,
    ...cut(lines, LISTED_DIFF, options, '      '),
  ]
}

function describeChange({ field, a, b }: Field, onlyTime: boolean): string {
  if (field === 'mtime' && !onlyTime) return 'mtime'
  if (field !== 'content') return `${field} ${a} -> ${b}`
  // The digests are for programs.
  const [one, other] = [a, b].map((text) => text.replace(/, sha256 .*/, ''))
  return one === other ? `content, ${one} each` : `content ${one} -> ${other}`
}
