import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildReport } from '../../lib/image/build-report.ts'
import { reportBase, resultLine, resultLines } from '../../lib/image/test-image.ts'
import { writeReports } from '../../lib/image/test-report.ts'
import type { ImageTest } from '../../lib/image/test-image.ts'
import type { CheckResult } from '../../lib/triton/boot-phases.ts'
import { reportOf } from '../build-report.ts'
import { inTemporaryDir } from '../temporary.ts'

const result = (change: Partial<CheckResult>): CheckResult => ({
  firmware: 'bios',
  boot: 'first boot',
  name: 'host-name',
  title: 'host name from sdc:hostname',
  status: 'ok',
  evidence: 'hostname is web-1',
  seconds: 1.234,
  ...change,
})
const PNG = Buffer.from('89504e470d0a1a0a', 'hex')

/** Reports of a test with one check of each status; texts that would break HTML and XML in them. */
async function reports(
  use: (found: {
    html: string
    xml: string
    json: unknown
    names: string[]
    page: string | undefined
  }) => void,
  page?: string,
) {
  await inTemporaryDir(async (dir) => {
    const serialLog = join(dir, 'serial.log')
    await writeFile(serialLog, '\x1b[2JGNU GRUB\r\n<script>alert(1)</script> ]]> \x00\xff\n')
    await writeFile(join(dir, 'screen.png'), PNG)
    const run = {
      firmware: 'bios' as const,
      serialLog,
      screenshot: join(dir, 'screen.png'),
      results: [
        result({}),
        result({
          name: 'boot-menu',
          status: 'failed',
          evidence: 'it was silent for 90 s & <nothing> "came"',
          console: ['Booting from Hard Disk...', '<b>\x07 &'],
        }),
        result({ name: 'swap', status: 'not reached', evidence: '', seconds: 0 }),
      ],
      moments: [
        { firmware: 'bios' as const, boot: 'first boot' as const, what: 'boot-menu', at: 2 },
      ],
    }
    const test: ImageTest = {
      image: {
        manifest: {
          path: join(dir, 'a.imgmanifest'),
          uuid: '11111111-2222-8333-8444-555555555555',
          name: 'debian-12',
          version: '20261121',
          type: 'zvol',
          imageSize: 10240,
          defaultUser: 'root',
          firmware: undefined,
          cpu: undefined,
          records: [],
          file: { sha1: 'a'.repeat(40), size: 1, compression: 'gzip', datasetGuid: undefined },
        },
        file: {
          path: join(dir, 'a.zfs.gz'),
          bytes: 1,
          sha1: 'a'.repeat(40),
          sha256: 'b'.repeat(64),
        },
        stream: {
          name: 'zones/a@final',
          guid: 1n,
          createdAtSeconds: 0,
          volblocksize: 8192,
          volumeBytes: 10 * 1024 ** 3,
          dataBytes: 1024 ** 2,
          records: {},
          checksum: '',
        },
        records: [],
        problems: [],
      },
      startedAt: new Date('2026-11-21T00:00:00Z'),
      seconds: 300,
      accelerator: 'tcg',
      hardware: 'kvm',
      runs: [run],
      timings: [],
    }
    const output = join(dir, 'reports', 'here') // made when there is something to report
    if (page !== undefined) {
      await mkdir(output, { recursive: true })
      await writeFile(join(output, 'a.report.html'), page)
    }
    const { html, junit, json } = await writeReports(test, join(dir, 'a.imgmanifest'), output)
    use({
      html: await readFile(html, 'utf8'),
      xml: await readFile(junit, 'utf8'),
      json,
      names: await readdir(output),
      page: await readFile(join(output, 'a.report.html'), 'utf8').catch(() => undefined),
    })
  })
}

const reporting = suite('writeReports()')
reporting('writes into the directory that is named, and nothing half', () =>
  reports(({ names }) => {
    assert.equal(names.sort(), ['a.bios.serial.log', 'a.test.html', 'a.test.xml'])
  }),
)
reporting('puts its verdict into the page of the build, where there is one', async () => {
  await reports(
    ({ page }) => {
      assert.match(page!, /Failed<\/span>: 1 of 3 checks in 5 min.*<a href="a\.test\.html">/)
      assert.match(page!, /swap \(not reached\)/)
    },
    buildReport(await reportOf({})),
  )
})
reporting('needs nothing but itself, and runs nothing', () =>
  reports(({ html }) => {
    assert.not.match(html, /<(script|link rel="stylesheet"|iframe)/)
    assert.not.match(html, /(src|href)="(?!data:)/)
    assert.match(html, new RegExp(`src="data:image/png;base64,${PNG.toString('base64')}"`))
  }),
)
reporting('shows every check, what failed, and the console', () =>
  reports(({ html }) => {
    assert.is(html.match(/<tr class="(ok|failed|not-reached)"/g)?.length, 3)
    assert.match(html, /3 checks: 1 ok, 1 failed, 1 not reached/)
    assert.match(html, /it was silent for 90 s &amp; &lt;nothing&gt; &quot;came&quot;/)
    assert.match(html, /Booting from Hard Disk/)
    assert.match(html, /GNU GRUB\n&lt;script&gt;/)
  }),
)
reporting('is XML with a suite, its counts and its failures', () =>
  reports(({ xml }) => {
    assert.match(
      xml,
      /<testsuite name="debian-12-20261121 bios" tests="3" failures="1" errors="0" skipped="1"/,
    )
    assert.match(
      xml,
      /<failure message="it was silent for 90 s &amp; &lt;nothing&gt; &quot;came&quot;">/,
    )
    // eslint-disable-next-line no-control-regex
    assert.not.match(xml, /[\x00-\x08\x0b\x0c\x0e-\x1f]/)
    // Every element that is opened is closed, in order.
    const open: string[] = []
    for (const [, close, name, self] of xml.matchAll(/<(\/?)([a-z-]+)[^>]*?(\/?)>/g)) {
      if (close) assert.is(open.pop(), name)
      else if (!self) open.push(name!)
    }
    assert.equal(open, [])
  }),
)
reporting('sums up as JSON', () =>
  reports(({ json }) => {
    const { ok, checks, image } = json as {
      ok: boolean
      checks: unknown[]
      image: { name: string }
    }
    assert.is(ok, false)
    assert.is(checks.length, 3)
    assert.is(image.name, 'debian-12')
  }),
)
reporting.run()

const lines = suite('resultLines(), reportBase()')
lines('tell word, machine, check, time and evidence', () => {
  assert.is(
    resultLine(result({})),
    'ok    bios  first boot: host name from sdc:hostname  1.2 s  hostname is web-1',
  )
  assert.match(resultLine(result({ status: 'failed' })), /^FAIL  bios /)
  assert.match(resultLine(result({ status: 'not reached' })), /^-  .*not reached/)
})
lines('show the console of a phase that failed', () => {
  const [head, ...rest] = resultLines(result({ status: 'failed', console: ['Booting...', '>'] }))
  assert.match(head!, /^FAIL/)
  assert.equal(rest, ['      | Booting...', '      | >'])
})
lines('name reports after the manifest', () => {
  assert.is(reportBase('bits/x/a-1.2.imgmanifest', undefined), 'bits/x/a-1.2')
  assert.is(reportBase('bits/x/a.json', '/out'), '/out/a')
})
lines.run()
