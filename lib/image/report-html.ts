/**
 * The results of an image test as one HTML file that needs nothing else: checks, timeline of the
 * boots, the screen at the end, the serial consoles.
 */
import type { CheckResult, Moment } from '../triton/boot-phases.ts'
import { escapeHtml as escape } from './html.ts'
import { type ImageTest, resultsOf } from './test-image.ts'
import type { Evidence } from './test-report.ts'

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222; background: #fff }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } h3 { margin-bottom: .3rem }
.verdict { display: inline-block; padding: .2rem .8rem; border-radius: .3rem; color: #fff; font-weight: 600 }
.verdict.ok { background: #187a2f } .verdict.failed { background: #b3261e }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
td.number { text-align: right; white-space: nowrap }
td.evidence { font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere }
tr.ok td:first-child { color: #187a2f } tr.failed td { background: #fdecea } tr.failed td:first-child { color: #b3261e; font-weight: 700 }
tr.not-reached td { color: #888 }
dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1.2rem } dt { color: #666 } dd { margin: 0; overflow-wrap: anywhere }
pre { background: #111; color: #ddd; padding: 1rem; overflow: auto; max-height: 40rem; font-size: 12px; line-height: 1.35 }
img { max-width: 100%; border: 1px solid #ccc }
.bar { display: flex; align-items: center; gap: .6rem; margin: 2px 0; font-size: 13px }
.bar .name { width: 21rem; text-align: right; color: #555 } .bar .track { flex: 1; background: #f1f1f1; height: .9rem; position: relative }
.bar .track span { position: absolute; top: 0; bottom: 0; background: #4a78b5; min-width: 2px }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } td, th { border-color: #444 } tr.failed td { background: #43201d } .bar .track { background: #2a2a2a } .bar .name, dt { color: #aaa } }
`

const WORDS = { ok: 'ok', failed: 'FAIL', 'not reached': 'not reached' }

function row({ status, name, title, seconds, evidence }: CheckResult): string {
  return `<tr class="${status.replace(' ', '-')}"><td>${WORDS[status]}</td><td>${escape(name)}</td><td>${escape(title)}</td><td class="number">${status === 'not reached' ? '' : `${seconds.toFixed(1)} s`}</td><td class="evidence">${escape(evidence)}</td></tr>`
}

function failure({ name, console }: CheckResult): string {
  if (!console?.length) return ''
  return `<h3>${escape(name)}: last on the console</h3>\n<pre>${escape(console.join('\n'))}</pre>`
}

/** Bars from the end of one phase to the end of the next. */
function timeline(moments: readonly Moment[], total: number): string {
  return moments
    .map(({ boot, what, at }, i) => {
      const from = moments[i - 1]?.at ?? 0
      const percent = (seconds: number) => `${((100 * seconds) / total).toFixed(2)}%`
      return `<div class="bar"><span class="name">${escape(`${boot}: ${what}`)}</span><span class="track"><span style="left:${percent(from)};width:${percent(at - from)}"></span></span><span>${(at - from).toFixed(1)} s, at ${at.toFixed(0)} s</span></div>`
    })
    .join('\n')
}

/** The report as text. */
export function htmlReport(test: ImageTest, evidence: Evidence): string {
  const { manifest, file, stream } = test.image
  const results = resultsOf(test)
  const failed = results.filter(({ status }) => status === 'failed').length
  const missed = results.filter(({ status }) => status === 'not reached').length
  const name = `${manifest?.name} ${manifest?.version}`
  const total = Math.max(1, ...test.runs.flatMap(({ moments }) => moments.map(({ at }) => at)))
  const facts: [string, string][] = [
    ['Image', `${name} (${manifest?.uuid})`],
    ['File', file.path],
    ['sha1', file.sha1],
    [
      'Volume',
      `${stream.volumeBytes / 1024 ** 2} MiB, ${(stream.dataBytes / 1024 ** 2).toFixed(0)} MiB of data`,
    ],
    ['Tested', `${test.startedAt.toISOString()}, ${Math.round(test.seconds)} s`],
    [
      'Machine',
      `QEMU with ${test.accelerator}, hardware ${test.hardware}, firmware ${test.runs.map(({ firmware }) => firmware).join(' and ')}`,
    ],
  ]
  const runs = test.runs.map((run) => {
    const screen = evidence.screenshot[run.firmware]
    return `
<h2 id="${run.firmware}">${run.firmware === 'bios' ? 'BIOS' : 'UEFI'}</h2>
${[...new Set(run.results.map(({ boot }) => boot))]
  .map(
    (boot) => `<h3>${escape(boot)}</h3>
<table class="checks"><thead><tr><th></th><th>Check</th><th></th><th>Time</th><th>Evidence</th></tr></thead><tbody>
${run.results
  .filter((result) => result.boot === boot)
  .map(row)
  .join('\n')}
</tbody></table>`,
  )
  .join('\n')}
${run.results.map(failure).join('')}
<h3>Timeline</h3>
${timeline(run.moments, total)}
<h3>Graphical console at the end</h3>
${screen ? `<img alt="Graphical console, ${run.firmware}" src="data:image/png;base64,${screen.toString('base64')}">` : '<p>The machine had ended.</p>'}
<details><summary>Serial console</summary><pre class="serial">${escape(evidence.serial[run.firmware] ?? '')}</pre></details>`
  })
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(name)}: ${failed + missed === 0 ? 'passed' : 'failed'}</title>
<link rel="icon" href="data:,"><style>${STYLE}</style></head><body>
<h1>${escape(name)}</h1>
<p><span class="verdict ${failed + missed === 0 ? 'ok' : 'failed'}">${failed + missed === 0 ? 'passed' : 'failed'}</span>
${results.length} checks: ${results.length - failed - missed} ok, ${failed} failed, ${missed} not reached</p>
<dl>${facts.map(([key, value]) => `<dt>${escape(key)}</dt><dd>${escape(value)}</dd>`).join('\n')}</dl>
${runs.join('\n')}
</body></html>
`
}
