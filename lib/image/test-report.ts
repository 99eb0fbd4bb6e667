/** Writes the reports of a test, each whole or not at all, and sums it up as JSON. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { explain } from '../cli/errors.ts'
import { makeParents } from '../host/directories.ts'
import { plainText } from '../machine/console.ts'
import { REPORT, withVerdict } from './build-report.ts'
import { htmlReport } from './report-html.ts'
import { junitReport } from './report-junit.ts'
import { type ImageTest, reportBase, resultsOf } from './test-image.ts'

/** What a report shows beyond the results. */
export type Evidence = {
  /** By firmware: the serial console's text. */
  serial: Record<string, string>
  /** By firmware: PNG, where the machine lived long enough for one. */
  screenshot: Record<string, Buffer | undefined>
}

/** Write the reports and serial logs beside the manifest, or to another directory. */
export async function writeReports(test: ImageTest, manifest: string, output: string | undefined) {
  const base = reportBase(manifest, output)
  await makeParents(dirname(resolve(base)))
  const html = `${base}.test.html`
  const junit = `${base}.test.xml`
  const evidence: Evidence = { serial: {}, screenshot: {} }
  for (const { firmware, serialLog, screenshot } of test.runs) {
    const log = await readFile(serialLog)
    evidence.serial[firmware] = plainText(log.toString('latin1'))
    await writeWhole(serialLogPath(base, firmware), log)
    evidence.screenshot[firmware] = await readFile(screenshot).catch(() => undefined)
  }
  await writeWhole(html, htmlReport(test, evidence))
  await writeWhole(junit, junitReport(test, evidence))
  await tellBuildReport(test, base, html)
  const { manifest: described, file } = test.image
  const json = {
    image: {
      name: described?.name,
      version: described?.version,
      uuid: described?.uuid,
      path: file.path,
      sha1: file.sha1,
    },
    ok: resultsOf(test).every(({ status }) => status === 'ok'),
    startedAt: test.startedAt.toISOString(),
    seconds: test.seconds,
    accelerator: test.accelerator,
    hardware: test.hardware,
    checks: resultsOf(test),
    moments: test.runs.flatMap(({ moments }) => moments),
    timings: test.timings,
    reports: {
      html,
      junit,
      serialLogs: test.runs.map(({ firmware }) => serialLogPath(base, firmware)),
    },
  }
  return { html, junit, json }
}

/** The page of the build, where it is beside, gets the verdict. */
async function tellBuildReport(test: ImageTest, base: string, html: string): Promise<void> {
  const path = `${base}.${REPORT}`
  const page = await readFile(path, 'utf8').catch(() => undefined)
  if (page === undefined) return
  const checks = resultsOf(test)
  const verdict = {
    ok: checks.every(({ status }) => status === 'ok'),
    at: test.startedAt,
    seconds: test.seconds,
    checks,
    report: basename(html),
  }
  await writeWhole(path, withVerdict(page, verdict))
}

const serialLogPath = (base: string, firmware: string) => `${base}.${firmware}.serial.log`

async function writeWhole(path: string, text: string | Buffer): Promise<void> {
  const partial = `${path}.partial`
  try {
    await writeFile(partial, text)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw explain(`write "${path}"`, error)
  }
}
