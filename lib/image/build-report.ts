/**
 * A build as one page: what came out of it, where its time went, what is in the image and what changed since the
 * build before. It is written before anybody has tested the image; test-image puts its verdict in.
 */
import { redact } from '../cli/redact.ts'
import type { Timing } from '../cli/progress.ts'
import { LISTING } from '../machine/markers.ts'
import { describeFinding, type Finding } from '../hygiene/leftovers.ts'
import type { ImageFile } from './image-file.ts'
import { cell, escapeHtml, htmlFacts, htmlPage, htmlTable, mebibytes } from './html.ts'
import { type Changes, changesBetween, type Previous, versionsOf } from './package-changes.ts'
import type { PackageList } from './package-list.ts'
import type { Recipe } from './recipe.ts'
import { duration, timelineSvg } from './timeline.ts'

export const REPORT = 'report.html'

export type BuildReport = {
  recipe: Recipe
  image: ImageFile
  /** The manifest's, where there is one. */
  uuid: string | undefined
  upstream: string | undefined
  /** All that lies in the build's directory, the page itself apart. */
  files: readonly { name: string; bytes: number }[]
  timings: readonly Timing[]
  seconds: number
  /** What the operator allowed to be in it; undefined: nobody looked. */
  leftovers: readonly Finding[] | undefined
  list: PackageList | undefined
  previous: Previous | undefined
  /** The console's text, where a machine was at work. */
  serial: string | undefined
}

const LAST_LINES = 40
/** Of a console: an installer with a debugging log may say more than a browser likes. */
const LONGEST_LOG = 1 << 20

const TEST = /<!-- test -->[^]*?<!-- end of test -->/

function testSection(html: string): string {
  return `<!-- test -->\n<h2>Test</h2>\n${html}\n<!-- end of test -->`
}

const count = (some: readonly unknown[], what: string) =>
  `${some.length} ${what}${some.length === 1 ? '' : 's'}`

function changesSection({ list, previous }: BuildReport): string {
  if (!list) return '<p>The new system printed no whole list of its packages.</p>'
  if (!previous) return '<p>No build before this one is in the output directory.</p>'
  const changes = changesBetween(previous.versions, versionsOf(list.packages))
  const { added, removed, changed } = changes
  const since = `since <code>${escapeHtml(previous.stamp)}</code>`
  if (added.length + removed.length + changed.length === 0) return `<p>None ${since}.</p>`
  return `<p>${count(added, 'package')} added, ${removed.length} removed, ${changed.length} of another version ${since}.</p>\n${changesTable(changes)}`
}

function changesTable({ added, removed, changed }: Changes): string {
  return htmlTable(
    'changes',
    ['', 'Package', 'Before', 'Now'],
    [
      ...changed.map(({ name, from, to }) => [
        cell('changed'),
        cell(name),
        cell(from, 'code'),
        cell(to, 'code'),
      ]),
      ...added.map(({ name, version }) => [
        cell('added'),
        cell(name),
        cell('', 'code'),
        cell(version, 'code'),
      ]),
      ...removed.map(({ name, version }) => [
        cell('removed'),
        cell(name),
        cell(version, 'code'),
        cell('', 'code'),
      ]),
    ],
  )
}

function packagesSection({ list }: BuildReport): string {
  if (!list) return ''
  const rows = list.packages.map(({ name, version, arch, licences }) => [
    cell(name),
    cell(version, 'code'),
    cell(arch),
    cell(licences.join(', ')),
  ])
  return `<details><summary>${count(rows, 'package')}</summary>
${htmlTable('packages', ['Package', 'Version', 'Architecture', 'Licences, as it names them'], rows)}
</details>`
}

function serialSection({ serial }: BuildReport): string {
  if (serial === undefined) return ''
  const lines = serial.trimEnd().split('\n')
  // The list of packages is the last but one thing that a new system prints, and is shown above.
  const words = lines.filter((line) => !LISTING.test(line))
  const cut = serial.length > LONGEST_LOG ? serial.slice(-LONGEST_LOG) : serial
  return `<h2>Serial console</h2>
<pre id="last-words">${escapeHtml(words.slice(-LAST_LINES).join('\n'))}</pre>
<details><summary>${cut === serial ? `All ${count(lines, 'line')}` : 'The last of it'}</summary><pre id="serial">${escapeHtml(cut)}</pre></details>`
}

function leftoversFact(found: BuildReport['leftovers']): string {
  if (found === undefined) return 'nobody looked'
  return found.length === 0 ? 'none' : `allowed: ${found.map(describeFinding).join('; ')}`
}

/** The page as text. */
export function buildReport(report: BuildReport): string {
  const { recipe, image, files, timings, seconds } = report
  const { name, version, fileName, stamp } = recipe
  const facts: [string, string][] = [
    ['System', `${recipe.title}${report.upstream === undefined ? '' : `, ${report.upstream}`}`],
    ['For', `${recipe.target}, ${recipe.arch}, as ${recipe.format}`],
    ['Method', `${recipe.method}, layout ${recipe.layout}, kernel ${recipe.kernel}`],
    ['Build', stamp.text],
    ['By', recipe.builder],
    ...(report.uuid === undefined ? [] : [['UUID', report.uuid] as [string, string]]),
    ['Disk', mebibytes(recipe.disk.bytes)],
    ['File', `${mebibytes(image.bytes)} (${image.bytes} bytes)`],
    ['sha1', image.sha1],
    ['sha256', image.sha256],
    ['Leftovers', leftoversFact(report.leftovers)],
  ]
  const link = (file: string) => `<a href="${encodeURIComponent(file)}">${escapeHtml(file)}</a>`
  const rows = files.map((file) => [
    { html: link(file.name) },
    cell(file.bytes >= 1024 ** 2 ? mebibytes(file.bytes) : `${file.bytes} bytes`, 'number'),
  ])
  // Only an image that has an identity in Triton can be booted there.
  const untested =
    report.uuid === undefined
      ? '<p>Not tested: <code>test-image</code> boots images that have a manifest.</p>'
      : `<p>Not yet tested; <code>test-image</code> writes ${link(`${fileName}.test.html`)}.</p>`
  const body = `<h1>${escapeHtml(`${name} ${version}`)}</h1>
<p>Built in <strong>${duration(seconds)}</strong>, ${escapeHtml(stamp.at.toISOString().replace(/\.\d+/, ''))}</p>
${htmlFacts(facts)}
<h2>Time</h2>
${timelineSvg(timings, seconds)}
<p class="dim">Light: how much of it was spent computing, on one processor.</p>
${testSection(untested)}
<h2>Changes</h2>
${changesSection(report)}
<h2>Packages</h2>
${packagesSection(report)}
<h2>Files</h2>
${htmlTable('files', ['File', 'Size'], rows)}
${serialSection(report)}
<h2>Recipe</h2>
<details><summary>As it was resolved</summary><pre id="recipe">${escapeHtml(JSON.stringify(recipe, undefined, 2))}</pre></details>`
  return redact(htmlPage(`${name} ${version}: built`, body))
}

export type TestVerdict = {
  ok: boolean
  at: Date
  seconds: number
  checks: readonly { firmware: string; boot: string; name: string; status: string }[]
  /** File of the test's own report, beside the page. */
  report: string
}

/** The page of a build with what its test has found, in the place that it has for that. */
export function withVerdict(page: string, verdict: TestVerdict): string {
  const { ok, at, seconds, checks, report } = verdict
  const bad = checks.filter(({ status }) => status !== 'ok')
  const list = bad.map(
    ({ firmware, boot, name, status }) =>
      `<li>${escapeHtml(`${firmware}, ${boot}: ${name} (${status})`)}</li>`,
  )
  const html = `<p><span id="verdict" class="${ok ? 'ok' : 'failed'}">${ok ? 'Passed' : 'Failed'}</span>: ${checks.length - bad.length} of ${count(checks, 'check')} in ${duration(seconds)}, ${at.toISOString().replace(/\.\d+/, '')}; see <a href="${encodeURIComponent(report)}">${escapeHtml(report)}</a>.</p>
${list.length > 0 ? `<ul>${list.join('\n')}</ul>` : ''}`
  return page.replace(TEST, () => testSection(html))
}
