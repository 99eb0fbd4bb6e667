/**
 * The results of an image test as JUnit XML, as Jenkins reads it: a suite for each firmware, a case
 * for each check. Source: the schema of Jenkins' JUnit plugin.
 */
import type { CheckResult } from '../triton/boot-phases.ts'
import type { ImageTest } from './test-image.ts'
import type { Evidence } from './test-report.ts'

// XML 1.0 has no form for other control characters.
// eslint-disable-next-line no-control-regex
const NOT_IN_XML = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]/g
const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
}
const attribute = (text: string) =>
  text.replaceAll(NOT_IN_XML, '').replaceAll(/[&<>"\n]/g, (c) => ESCAPES[c]!)
const content = (text: string) =>
  text.replaceAll(NOT_IN_XML, '').replaceAll(/[&<>]/g, (c) => ESCAPES[c]!)

function testCase(image: string, result: CheckResult): string {
  const { firmware, boot, name, title, status, evidence, seconds, console } = result
  const head = `    <testcase classname="${attribute(`${image}.${firmware}.${boot}`)}" name="${attribute(`${name}: ${title}`)}" time="${seconds.toFixed(3)}"`
  if (status === 'ok')
    return `${head}>\n      <system-out>${content(evidence)}</system-out>\n    </testcase>`
  if (status === 'not reached')
    return `${head}>\n      <skipped message="not reached"/>\n    </testcase>`
  const details = (console ?? []).join('\n')
  return `${head}>\n      <failure message="${attribute(evidence)}">${content(details)}</failure>\n    </testcase>`
}

/** The report as text. */
export function junitReport(test: ImageTest, evidence: Evidence): string {
  const { name = '', version = '' } = test.image.manifest ?? {}
  const image = `${name}-${version}`
  const suites = test.runs.map(({ firmware, results }) => {
    const count = (status: CheckResult['status']) =>
      results.filter((one) => one.status === status).length
    const seconds = results.reduce((sum, one) => sum + one.seconds, 0)
    return [
      `  <testsuite name="${attribute(`${image} ${firmware}`)}" tests="${results.length}" failures="${count('failed')}" errors="0" skipped="${count('not reached')}" time="${seconds.toFixed(3)}" timestamp="${test.startedAt.toISOString().slice(0, 19)}">`,
      ...results.map((result) => testCase(image, result)),
      `    <system-out>${content(evidence.serial[firmware] ?? '')}</system-out>`,
      '  </testsuite>',
    ].join('\n')
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    ...suites,
    '</testsuites>',
    '',
  ].join('\n')
}
