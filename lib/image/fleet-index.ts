/** A page of all builds in an output directory: those of a run of build-images, and those that lie there already. */
import { readdir, rename, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { act } from '../cli/run.ts'
import { makeParents } from '../host/directories.ts'
import { REPORT } from './build-report.ts'
import type { Built } from './fleet.ts'
import { type Cell, cell, escapeHtml, htmlPage, htmlTable, mebibytes } from './html.ts'
import { duration } from './timeline.ts'

/** A finished build that lies there. */
export type Lying = {
  name: string
  stamp: string
  /** Of its image. */
  bytes: number | undefined
  /** Its page, from the output directory. */
  report: string | undefined
}

/** Endings of what is no image. */
const BESIDE = /\.(imgmanifest|json|html|xml|log|sha256)$/

/** All finished builds below a directory, the newest of each name first. */
export async function buildsIn(output: string): Promise<Lying[]> {
  const directories = async (path: string) =>
    (await readdir(path, { withFileTypes: true }).catch(() => []))
      .filter((one) => one.isDirectory() && !one.name.endsWith('.partial'))
      .map(({ name }) => name)
      .sort()
  const found: Lying[] = []
  for (const name of await directories(output)) {
    for (const stamp of (await directories(join(output, name))).reverse()) {
      const directory = join(output, name, stamp)
      const files = await readdir(directory)
      const image = files.find((file) => !BESIDE.test(file))
      const report = files.find((file) => file.endsWith(`.${REPORT}`))
      found.push({
        name,
        stamp,
        bytes: image === undefined ? undefined : (await stat(join(directory, image))).size,
        report: report === undefined ? undefined : join(name, stamp, report),
      })
    }
  }
  return found
}

const link = (path: string | undefined, text: string): Cell =>
  path === undefined
    ? cell(text)
    : {
        html: `<a href="${path.split('/').map(encodeURIComponent).join('/')}">${escapeHtml(text)}</a>`,
      }

const size = (bytes: number | undefined) =>
  cell(bytes === undefined ? '' : mebibytes(bytes), 'number')

/** The page as text. @param lying all that lies there, the results of this run among them */
export function fleetIndex(
  results: readonly Built[],
  lying: readonly Lying[],
  output: string,
  at: Date,
): string {
  const own = (path: string | undefined) =>
    path === undefined ? undefined : relative(output, path)
  const failed = results.filter(({ status }) => status !== 0).length
  const rows = results.map(({ name, status, seconds, bytes, report, error }) => [
    link(own(report), name),
    {
      html:
        status === 0
          ? '<span class="ok">ok</span>'
          : `<span class="failed">failed</span>: ${escapeHtml(error ?? `status ${status}`)}`,
    },
    cell(duration(seconds), 'number'),
    size(bytes),
  ])
  const shown = new Set(results.map(({ report }) => own(report)))
  const earlier = lying.filter(({ report }) => report === undefined || !shown.has(report))
  const others = earlier.map(({ name, stamp, bytes, report }) => [
    link(report, name),
    cell(stamp, 'code'),
    size(bytes),
  ])
  const body = `<h1>Images</h1>
<p>${results.length - failed} of ${results.length} built, ${at.toISOString().replace(/\.\d+/, '')}</p>
${htmlTable('builds', ['Image', 'Result', 'Time', 'Size'], rows)}
${others.length > 0 ? `<h2>Earlier builds here</h2>\n${htmlTable('earlier', ['Image', 'Build', 'Size'], others)}` : ''}`
  return htmlPage('Images', body)
}

/**
 * Write `index.html` there, whole or not at all.
 *
 * @returns its path
 * @throws {BuildError} when it can't be written
 */
export async function writeFleetIndex(results: readonly Built[], output: string): Promise<string> {
  const path = join(output, 'index.html')
  await act(`write ${path}`, async () => {
    await makeParents(output) // where every build has failed there is none
    const page = fleetIndex(results, await buildsIn(output), output, new Date())
    await writeFile(`${path}.partial`, page)
    await rename(`${path}.partial`, path)
  })
  return path
}
