/**
 * `test-image` on real parts: a built image passes under both firmwares, and its report is one that a
 * browser shows; one that does not boot fails. Other defects, each by its name: defects.images.ts.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readTestRecord } from '../../lib/image/test-record.ts'
import { inBrowser } from '../browser.ts'
import { failures, MIB, named, planted, type TestResult, zero } from '../defects.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  start,
  warmCache,
  workDir,
} from '../live.ts'

needPackages({
  chromium: 'chromium',
})

const { dir, remove } = await workDir()
const before = leftovers()

let manifest: string
let passed: TestResult

const good = suite('test-image, a good image')
good('passes, from BIOS and from UEFI', async () => {
  const cache = join(dir, 'cache')
  await warmCache(cache, { image: true }) // how it is built, other files test
  const options = ['12', '--output', join(dir, 'bits'), '--cache', cache, ...machineMirrors()]
  const built = await run('create-image-debian', options)
  assert.is(built.status, 0)
  manifest = built.stdout.trim()
  const { status, stdout, stderr } = await run('test-image', [manifest, '--json'])
  passed = JSON.parse(stdout) as TestResult
  assert.equal(failures(passed), [])
  assert.equal(named(passed, 'not reached'), [])
  assert.is(status, 0, stderr)
  for (const firmware of ['bios', 'uefi']) {
    const names = named(passed, 'ok').filter((name) => name.startsWith(firmware))
    assert.ok(names.length > 40, `${names.length} checks under ${firmware}`)
  }
  for (const name of [
    'bios/first boot/boot-menu',
    'uefi/first boot/host-keys',
    'uefi/reboot/first-boot-once',
    'bios/second generation/console-password',
  ]) {
    assert.ok(named(passed, 'ok').includes(name), name)
  }
})
good('leaves the image as it was, and nothing else but the reports', async () => {
  assertNothingLeft(before)
  const base = basename(manifest, '.imgmanifest')
  assert.equal((await readdir(dirname(manifest))).sort(), [
    `${base}.bios.serial.log`,
    `${base}.imgmanifest`,
    `${base}.lock.json`,
    `${base}.provenance.json`,
    `${base}.report.html`,
    `${base}.sbom.cdx.json`,
    `${base}.test.html`,
    `${base}.test.json`,
    `${base}.test.xml`,
    `${base}.uefi.serial.log`,
    `${base}.zfs.gz`,
  ])
  assert.is((await run('inspect-image', [manifest])).status, 0)
  const record = await readTestRecord(manifest)
  assert.is(record?.ok, true)
  assert.equal(record?.runs.map(({ firmware }) => firmware).sort(), ['bios', 'uefi'])
})
good('writes a report that a browser shows, from one file', async () => {
  const { found, ...page } = await inBrowser<{
    rows: number
    visible: boolean
    screens: number[]
    bars: number
    serial: string[]
  }>(
    passed.reports.html,
    `({
      rows: document.querySelectorAll('table.checks tbody tr').length,
      visible: [...document.querySelectorAll('table.checks tbody tr')]
        .every((row) => row.getBoundingClientRect().height > 5),
      screens: [...document.images].map((image) => image.complete && image.naturalWidth),
      bars: document.querySelectorAll('.bar .track span').length,
      serial: [...document.querySelectorAll('pre.serial')].map((text) => text.textContent),
    })`,
  )
  assert.match(page.title, /^debian-12 \d{8}: passed$/)
  assert.is(found.rows, passed.checks.length)
  assert.ok(found.visible)
  assert.is(found.screens.length, 2)
  assert.ok(
    found.screens.every((width) => Number(width) >= 640),
    String(found.screens),
  )
  assert.ok(found.bars > 20)
  for (const text of found.serial) assert.match(text, /GNU GRUB[^]*Linux version[^]* login:/)
  assert.not(page.wide, 'nothing sticks out')
  assert.equal(page.complaints, [])
  assert.ok(
    page.requested.every((scheme) => scheme === 'file:' || scheme === 'data:'),
    page.requested.join(),
  )
})
good('tells the page of the build', async () => {
  const page = manifest.replace('.imgmanifest', '.report.html')
  const { found } = await inBrowser<string>(page, `document.querySelector('#verdict').textContent`)
  assert.is(found, 'Passed')
})
good('writes JUnit XML that parses', async () => {
  const xml = execFileSync('python3', [
    '-c',
    'import sys, xml.etree.ElementTree as e; s = e.parse(sys.argv[1]).getroot().findall("testsuite"); print(len(s), sum(len(x.findall("testcase")) for x in s), sum(int(x.get("failures")) for x in s))',
    passed.reports.junit,
  ])
  assert.is(String(xml).trim(), `2 ${passed.checks.length} 0`)
})
good.run()

let raw: string

const bad = suite('test-image, an image that does not boot')
bad('refuses a manifest of another image, before anything is booted', async () => {
  raw = join(dir, 'disk.raw')
  const image = manifest.replace('.imgmanifest', '.zfs.gz')
  assert.is((await run('convert-image', [image, raw])).status, 0)
  const other = join(dir, 'other.imgmanifest')
  const text = await readFile(manifest, 'utf8')
  await writeFile(other, text.replace(/"sha1": ".{8}/, '"sha1": "00000000'))
  await cp(image, join(dir, 'other.zfs.gz'))
  const { status, stderr, stdout } = await run('test-image', [other])
  assert.is(status, 1)
  assert.match(stderr, /^Error: Image does not match .*sha1/m)
  assert.is(stdout, '')
})
bad('says that an image without boot loaders does not get to its menu', async () => {
  const path = await planted({ dir, raw, manifest }, 'no-loader', async (disk) => {
    await zero(disk, 0, 440)
    await zero(disk, MIB, 129 * MIB)
  })
  const options = [path, '--json', '--timeout', '30']
  const { status, stdout, stderr } = await run('test-image', options)
  const result = JSON.parse(stdout) as TestResult
  assert.is(status, 1)
  assert.equal(named(result, 'failed'), ['bios/first boot/boot-menu', 'uefi/first boot/boot-menu'])
  assert.equal(named(result, 'ok'), [])
  assert.match(stderr, /GRUB menu on the serial console did not appear: waited 30 s/)
  assert.match(stderr, /^Error: Image failed its test: boot-menu \(bios, first boot\)/m)
  assertNothingLeft(before)
})
bad.run()

const stopped = suite('test-image, interrupted')
stopped('leaves no machine, no disk and no report', async () => {
  const there = (await readdir(dirname(manifest))).sort()
  const { child, outcome, shows } = start('test-image', [manifest, '--output', join(dir, 'bits')])
  await shows(/GRUB menu/)
  child.kill('SIGINT')
  const { status, stdout, seconds } = await outcome
  assert.is(status, 130)
  assert.is(stdout, '')
  assert.ok(seconds < 120)
  assertNothingLeft(before)
  assert.equal((await readdir(dirname(manifest))).sort(), there)
})
stopped.after(remove)
stopped.run()
