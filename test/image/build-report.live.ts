/** The pages of builds in a browser: they show what they are to show, fetch nothing and run nothing. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildReport, withVerdict } from '../../lib/image/build-report.ts'
import { writeFleetIndex } from '../../lib/image/fleet-index.ts'
import { inBrowser, type Shown } from '../browser.ts'
import { reportOf } from '../build-report.ts'
import { needPackages, workDir } from '../live.ts'

needPackages({ chromium: 'chromium' })
const { dir, remove } = await workDir()

const fine = ({ complaints, requested, wide }: Shown<unknown>) => {
  assert.equal(complaints, [])
  assert.ok(
    requested.every((scheme) => scheme === 'file:' || scheme === 'data:'),
    requested.join(),
  )
  assert.not(wide, 'nothing sticks out')
}

const pages = suite('pages of builds')
pages.after(remove)
for (const width of [1200, 500]) {
  pages(
    `a build's page shows steps, changes, packages and console, ${width} pixels wide`,
    async () => {
      const versions = new Map([
        ['bash', '5.2.15-2+b6'],
        ['a-package-of-a-very-long-name-that-has-no-place-to-break-it'.repeat(2), '1'],
      ])
      const serial = `${'x'.repeat(400)}\n`.repeat(100) + 'last words <b>'
      const report = await reportOf({ previous: { stamp: 'main-1', versions }, serial })
      const path = join(dir, 'report.html')
      const checks = [{ firmware: 'bios', boot: 'first boot', name: 'log-in', status: 'ok' }]
      const verdict = { ok: true, at: new Date(0), seconds: 60, checks, report: 'x.test.html' }
      await writeFile(path, withVerdict(buildReport(report), verdict))
      const shown = await inBrowser<{
        bars: { width: number; height: number }[]
        labels: boolean
        changes: number
        packages: number
        verdict: string
        last: string
      }>(
        path,
        `(document.querySelectorAll('details').forEach((one) => { one.open = true }), {
        bars: [...document.querySelectorAll('#timeline .bar')].map((bar) => bar.getBoundingClientRect())
          .map(({ width, height }) => ({ width, height })),
        labels: [...document.querySelectorAll('#timeline text')].every((text) => {
          const { left, right } = text.getBoundingClientRect()
          return left >= 0 && right <= innerWidth
        }),
        changes: document.querySelectorAll('#changes tbody tr').length,
        packages: [...document.querySelectorAll('#packages tbody tr')]
          .filter((row) => row.getBoundingClientRect().height > 5).length,
        verdict: document.querySelector('#verdict').textContent,
        last: document.querySelector('#last-words').textContent,
      })`,
        width,
      )
      fine(shown)
      assert.is(shown.title, 'debian-12 20260508: built')
      const { bars, labels, changes, packages, verdict: said, last } = shown.found
      assert.is(bars.length, 2)
      assert.ok(bars[0]!.width > 3 * bars[1]!.width && bars[0]!.height > 2, JSON.stringify(bars))
      assert.ok(labels, 'all of the picture is inside of it')
      assert.is(changes, 3)
      assert.is(packages, 2)
      assert.is(said, 'Passed')
      assert.match(last, /last words <b>$/)
    },
  )
}
pages('the page of all builds has a row for each, and links', async () => {
  const built = { seconds: 60, manifest: undefined, timings: [] }
  const report = join(dir, 'bits/debian-12/main-1/debian-12-20260508.report.html')
  const path = await writeFleetIndex(
    [
      { ...built, name: 'debian-12', status: 0, bytes: 300e6, report, error: undefined },
      {
        ...built,
        name: 'rocky-9',
        status: 1,
        bytes: undefined,
        report: undefined,
        error: 'Cannot',
      },
    ],
    join(dir, 'bits'),
  )
  const shown = await inBrowser<{ rows: string[]; links: string[] }>(
    path,
    `({
      rows: [...document.querySelectorAll('#builds tbody tr')].map((row) => row.innerText),
      links: [...document.querySelectorAll('#builds a')].map((link) => link.getAttribute('href')),
    })`,
  )
  fine(shown)
  assert.equal(shown.found, {
    rows: ['debian-12\tok\t60 s\t286.1 MiB', 'rocky-9\tfailed: Cannot\t60 s\t'],
    links: ['debian-12/main-1/debian-12-20260508.report.html'],
  })
})
pages.run()
