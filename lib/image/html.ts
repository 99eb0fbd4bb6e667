/** Pages that are one file: nothing is fetched, nothing runs, and what they show is text. */

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text as HTML shows it, in elements and in attributes; control characters are left out. */
export const escapeHtml = (text: string) =>
  // eslint-disable-next-line no-control-regex
  text.replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '').replaceAll(/[&<>"]/g, (c) => ESCAPES[c]!)

const STYLE = `
:root { --line: #ddd; --dim: #666; --bar: #4a78b5; --cpu: #9dbbe0; --good: #187a2f; --bad: #b3261e; --ink: #222; --paper: #fff }
@media (prefers-color-scheme: dark) { :root { --line: #444; --dim: #aaa; --bar: #5b8fd0; --cpu: #31527c; --good: #6fce86; --bad: #ff8a80; --ink: #ddd; --paper: #181818 } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--ink); background: var(--paper) }
h1 { margin-bottom: .2rem } h2 { margin-top: 2.2rem; margin-bottom: .5rem } a { color: var(--bar) }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td.number, th.number { text-align: right; white-space: nowrap }
td.code, dd, code { font-family: ui-monospace, monospace; font-size: 13px }
dl { display: grid; grid-template-columns: max-content auto; gap: .15rem 1.2rem } dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
pre { background: #111; color: #ddd; padding: 1rem; overflow: auto; max-height: 40rem; font-size: 12px; line-height: 1.35; white-space: pre-wrap; overflow-wrap: anywhere }
summary { cursor: pointer; color: var(--dim) } .ok { color: var(--good) } .failed { color: var(--bad) } .dim { color: var(--dim) }
.ok, .failed { font-weight: 600 } svg { width: 100%; height: auto } svg text { fill: var(--ink); font: 13px system-ui, sans-serif } svg .dim { fill: var(--dim) }
svg .bar { fill: var(--bar) } svg .cpu { fill: var(--cpu) } svg line { stroke: var(--line) }
`

/** A whole page. @param body of HTML */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,"><style>${STYLE}</style></head><body>
${body}
</body></html>
`
}

export type Cell = { html: string; kind?: 'number' | 'code' }

/** A cell of text. */
export const cell = (text: string, kind?: Cell['kind']): Cell => ({
  html: escapeHtml(text),
  ...(kind && { kind }),
})

/** @param id of the table, for what looks at it */
export function htmlTable(
  id: string,
  heads: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const kinds = rows[0]?.map(({ kind }) => kind) ?? []
  const attribute = (kind: Cell['kind']) => (kind ? ` class="${kind}"` : '')
  const head = heads
    .map(
      (text, i) =>
        `<th${attribute(kinds[i] === 'number' ? 'number' : undefined)}>${escapeHtml(text)}</th>`,
    )
    .join('')
  const body = rows.map(
    (row) =>
      `<tr>${row.map(({ html, kind }) => `<td${attribute(kind)}>${html}</td>`).join('')}</tr>`,
  )
  return `<table id="${id}"><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table>`
}

/** Names and what they stand for. */
export const htmlFacts = (facts: readonly (readonly [string, string])[]) =>
  `<dl>${facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('\n')}</dl>`

/** `12.3 MiB` */
export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}
