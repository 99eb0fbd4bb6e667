import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildReport, buildReport, withVerdict } from '../../lib/image/build-report.ts'
import { changesBetween, previousBuild, versionsOf } from '../../lib/image/package-changes.ts'
import { duration, timelineSvg } from '../../lib/image/timeline.ts'
import { inTemporaryDir } from '../temporary.ts'
import { reportOf } from '../build-report.ts'

const page = (change: Partial<BuildReport> = {}) => reportOf(change).then(buildReport)

const changing = suite('changesBetween()')
changing('tells what came, what went, and what is of another version', () => {
  const before = versionsOf([
    { name: 'a', version: '1' },
    { name: 'b', version: '1' },
    { name: 'kernel', version: '2' },
    { name: 'kernel', version: '1' },
  ])
  const now = versionsOf([
    { name: 'a', version: '1' },
    { name: 'c', version: '3' },
    { name: 'kernel', version: '2' },
    { name: 'kernel', version: '3' },
  ])
  assert.equal(changesBetween(before, now), {
    added: [{ name: 'c', version: '3' }],
    removed: [{ name: 'b', version: '1' }],
    changed: [{ name: 'kernel', from: '1, 2', to: '2, 3' }],
  })
})
changing.run()

const finding = suite('previousBuild()')
finding('reads the list of the newest build of this name', () =>
  inTemporaryDir(async (dir) => {
    assert.is(await previousBuild(dir, 'debian-12'), undefined)
    await mkdir(join(dir, 'debian-12', 'stamp'), { recursive: true })
    await writeFile(join(dir, 'debian-12-latest-build-stamp'), 'stamp\n')
    assert.is(await previousBuild(dir, 'debian-12'), undefined)
    const components = [
      { type: 'library', name: 'bash', version: '5' },
      { type: 'operating-system', name: 'debian', version: '12' },
    ]
    const path = join(dir, 'debian-12/stamp/debian-12-20260507.sbom.cdx.json')
    await writeFile(path, JSON.stringify({ components }))
    const found = (await previousBuild(dir, 'debian-12'))!
    assert.is(found.stamp, 'stamp')
    assert.equal([...found.versions], [['bash', '5']])
    await writeFile(path, '{"comp')
    assert.is(await previousBuild(dir, 'debian-12'), undefined)
  }),
)
finding.run()

const drawing = suite('timelineSvg()')
drawing('has a bar for each step, where and as long as it was', () => {
  const svg = timelineSvg(
    [
      { step: 'Install <packages>', at: 0, seconds: 50, cpuSeconds: 100 },
      { step: 'Write', at: 50, seconds: 50, cpuSeconds: 25 },
    ],
    100,
  )
  assert.match(svg, /Install &lt;packages&gt;/)
  assert.is(svg.match(/<g class="step">/g)?.length, 2)
  // From 190 to 850 is 100 seconds.
  assert.match(svg, /class="bar" x="190\.0" y="5" width="330\.0"/)
  assert.match(svg, /class="bar" x="520\.0" y="31" width="330\.0"/)
  assert.match(svg, /class="cpu" x="190\.0" y="17" width="330\.0"/)
  assert.match(svg, /class="cpu" x="520\.0" y="43" width="165\.0"/)
})
drawing('bears a build without steps, and one that was at once over', () => {
  assert.match(timelineSvg([], 0), /^<svg/)
  assert.not.match(
    timelineSvg([{ step: 'a', at: 0, seconds: 0, cpuSeconds: 0 }], 0),
    /NaN|Infinity/,
  )
})
for (const [seconds, expected] of [
  [0.04, '0.0 s'],
  [75.4, '75 s'],
  [120, '2 min'],
  [754, '12 min 34 s'],
  [3900, '1 h 5 min'],
] as const) {
  drawing(`writes ${seconds} s as ${expected}`, () => assert.is(duration(seconds), expected))
}
drawing.run()

const reporting = suite('buildReport()')
reporting('needs nothing but itself, and runs nothing', async () => {
  const html = await page()
  assert.not.match(html, /<(script|link rel="stylesheet"|iframe|img|object|embed)/)
  assert.not.match(html, /(src|href)="(\w+:)?\/\//)
  assert.match(html, /default-src 'none'/)
})
reporting('tells what came out, and what is in it', async () => {
  const html = await page()
  for (const text of [
    'debian-12 20260508',
    'ab'.repeat(20),
    'cd'.repeat(32),
    'bookworm',
    '5.2.15-2+b7',
    'GPL-3+',
    'a.zfs.gz',
    'last words &lt;b&gt;',
  ]) {
    assert.ok(html.includes(text), text)
  }
})
reporting('tells what changed since the build before', async () => {
  const versions = new Map([
    ['bash', '5.2.15-2+b6'],
    ['gone', '1'],
  ])
  const html = await page({ previous: { stamp: 'main-1', versions } })
  assert.match(html, /1 package added, 1 removed, 1 of another version since <code>main-1<\/code>/)
  assert.match(html, /<td>changed<\/td><td>bash<\/td><td class="code">5\.2\.15-2\+b6<\/td>/)
  const same = versionsOf((await reportOf({})).list!.packages)
  assert.match(await page({ previous: { stamp: 'x', versions: same } }), /None since/)
})
reporting('does without a list, a console and a build before', async () => {
  const html = await page({ list: undefined, serial: undefined, previous: undefined })
  assert.match(html, /no whole list of its packages/)
  assert.not.match(html, /Serial console|undefined/)
})
reporting('tells no name and no password', async () => {
  const report = await reportOf({})
  const proxyEnv = { http_proxy: 'http://me:secret@proxy:3128' }
  const html = buildReport({ ...report, recipe: { ...report.recipe, proxyEnv } })
  assert.not.match(html, /secret/)
  assert.match(html, /http:\/\/\*\*\*@proxy:3128/)
})
reporting('shows what was said last, not the list of packages', async () => {
  const list = 'in-target: hybrid-images-package|bash|1|amd64|bash|1|.\n'.repeat(50)
  const html = await page({ serial: `cleaning up\n${list}done\n` })
  assert.match(html, /<pre id="last-words">cleaning up\ndone<\/pre>/)
})
reporting('cuts a console that is longer than a browser likes', async () => {
  const html = await page({ serial: `first\n${'x'.repeat(99)}\n`.repeat(30_000) + 'last' })
  assert.ok(html.length < 1_200_000, String(html.length))
  assert.match(html, /The last of it/)
})
reporting.run()

const verdicts = suite('withVerdict()')
const checks = [
  { firmware: 'bios', boot: 'first boot', name: 'log-in', status: 'ok' },
  { firmware: 'uefi', boot: 'first boot', name: 'swap <none>', status: 'failed' },
]
const verdict = { at: new Date(0), seconds: 300, report: 'a.test.html' }
verdicts('takes the place of the words that there is none yet, and of the one before', async () => {
  const before = await page()
  assert.match(
    before,
    /Not yet tested; <code>test-image<\/code> writes <a href="debian-12-20260508\.test\.html">/,
  )
  const failed = withVerdict(before, { ...verdict, ok: false, checks })
  assert.match(failed, /class="failed">Failed<\/span>: 1 of 2 checks in 5 min/)
  assert.match(failed, /<li>uefi, first boot: swap &lt;none&gt; \(failed\)<\/li>/)
  assert.not.match(failed, /Not yet tested/)
  const passed = withVerdict(failed, { ...verdict, ok: true, checks: checks.slice(0, 1) })
  assert.match(passed, /class="ok">Passed<\/span>: 1 of 1 check in 5 min/)
  assert.not.match(passed, /Failed/)
})
verdicts.run()
