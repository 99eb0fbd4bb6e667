/** What may be published: a file that is what its manifest says, and that has passed its test. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { recordTest, readTestRecord } from '../../lib/image/test-record.ts'
import type { ImageTest } from '../../lib/image/test-image.ts'
import { checkTested } from '../../lib/publish/gate.ts'
import { readPublication } from '../../lib/publish/publication.ts'
import { printed } from '../printed.ts'
import { refusal } from '../refusal.ts'
import { makeBuild, recordFor, STAMP } from './build.ts'

const dir = await mkdtemp(join(tmpdir(), 'hybrid-images-test-'))
const build = await makeBuild(dir)
const publication = await readPublication(build.manifest)
const record = build.manifest.replace('.imgmanifest', '.test.json')

const reading = suite('readPublication()')
reading('reads a manifest, its file, and what else the build left', () => {
  const { name, version, image, manifest, others, stamp } = publication
  assert.equal([name, version, stamp], ['debian-12', '20260508', STAMP])
  assert.equal([image.path, image.format, image.sha1], [build.image, 'zfs.gz', build.sha1])
  assert.is(manifest?.path, build.manifest)
  const endings = others.map((path) => basename(path).replace('debian-12-20260508.', ''))
  assert.equal(endings, ['serial.log', 'test.json'])
})
reading('takes elsewhere only what has its name, and knows no stamp', async () => {
  const place = join(dir, 'downloads')
  await cp(build.directory, place, { recursive: true })
  await writeFile(join(place, 'letter.txt'), 'private')
  await writeFile(join(place, 'debian-12-20260508.zfs.gz.partial'), '')
  await symlink('/etc/passwd', join(place, 'debian-12-20260508.link'))
  const found = await readPublication(join(place, basename(build.manifest)))
  assert.is(found.stamp, undefined)
  assert.equal(
    found.others.map((path) => basename(path)),
    ['debian-12-20260508.serial.log', 'debian-12-20260508.test.json'],
  )
})
reading('reads an image without a manifest', async () => {
  const path = join(dir, 'golden.qcow2')
  await writeFile(path, 'QFI\xfb', 'latin1')
  await writeFile(`${path}.sha256`, '')
  const { name, version, image, manifest, others } = await readPublication(path)
  assert.equal([name, version, image.format, manifest], ['golden', undefined, 'qcow2', undefined])
  assert.equal(others, [`${path}.sha256`])
  const dated = join(dir, 'bits/debian-12', STAMP, 'custom-20260509.tar.gz')
  await cp(path, dated)
  assert.equal((await readPublication(dated)).version, '20260509')
  await rm(dated)
})
reading('refuses a file that is not what the manifest speaks of', async () => {
  const place = join(dir, 'changed')
  await cp(build.directory, place, { recursive: true })
  const image = join(place, basename(build.image))
  const manifest = join(place, basename(build.manifest))
  const bytes = await readFile(image)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(image, bytes)
  assert.match(await refusal(readPublication(manifest)), /sha1 is [0-9a-f]{40}, not/)
  await writeFile(image, bytes.subarray(0, -1))
  assert.match(await refusal(readPublication(manifest)), /size is \d+, not \d+/)
})
reading('refuses what is not there, and a directory', async () => {
  assert.match(await refusal(readPublication(join(dir, 'x.imgmanifest'))), /no such file/)
  assert.match(await refusal(readPublication(build.directory)), /it is a directory/)
})
reading.run()

const gate = suite('checkTested()')
const run = { hardware: 'kvm', ok: true, failed: [], at: '2026-05-08T13:00:00Z' }
for (const [what, change, message] of [
  [
    'a failed test',
    {
      ok: false,
      runs: [
        { firmware: 'bios', ...run },
        { firmware: 'uefi', ...run, ok: false, failed: ['swap'] },
      ],
    },
    /it failed its test: swap \(uefi, 2026/,
  ],
  [
    "another file's test",
    { sha1: 'f'.repeat(40) },
    /what was tested is another file, with sha1 f{40}/,
  ],
  [
    'a test from one firmware',
    { runs: [{ firmware: 'bios', ...run }] },
    /it was not tested from uefi/,
  ],
  ['a damaged record', { runs: 'x' }, /it was not tested: there is no .*\.test\.json/],
] as const) {
  gate(`refuses ${what}, and warns with --untested`, async () => {
    await recordFor(build.manifest, build.sha1, change)
    assert.match(await refusal(checkTested(publication, false)), message)
    const text = await printed(() => checkTested(publication, true))
    assert.match(text, /^Warning: Publishing ".*zfs\.gz" untested: /)
    assert.match(text, message)
  })
}
gate('refuses what was never tested', async () => {
  await rm(record)
  assert.match(await refusal(checkTested(publication, false)), /it was not tested/)
})
gate('lets pass what is tested, without a word', async () => {
  await recordFor(build.manifest, build.sha1)
  assert.is(await printed(() => checkTested(publication, false)), '')
})
gate('says of an image without a manifest that nothing is known', async () => {
  const said = await refusal(checkTested({ ...publication, manifest: undefined }, false))
  assert.match(said, /test-image tests images with a manifest only/)
})
gate.run()

/** As much of a test as its record looks at. */
function testOf(sha1: string, runs: ['bios' | 'uefi', 'ok' | 'failed' | 'not reached'][]) {
  return {
    image: { file: { sha1 } },
    startedAt: new Date('2026-05-08T13:00:00Z'),
    hardware: 'kvm',
    runs: runs.map(([firmware, status]) => ({ results: [{ firmware, status, name: 'swap' }] })),
  } as unknown as ImageTest // the rest is not looked at
}

const recording = suite('recordTest()')
recording('keeps what passed, for the file that it was', async () => {
  await rm(record)
  assert.is(await recordTest(testOf('a', [['bios', 'ok']]), build.manifest), record)
  await recordTest(testOf('a', [['uefi', 'ok']]), build.manifest)
  const both = await readTestRecord(build.manifest)
  assert.is(both?.ok, true)
  assert.equal(
    both?.runs.map(({ firmware }) => firmware),
    ['bios', 'uefi'],
  )
  await recordTest(testOf('b', [['uefi', 'ok']]), build.manifest)
  assert.equal((await readTestRecord(build.manifest))?.runs.length, 1)
})
recording('lets a failed test replace a good one, and the other way round', async () => {
  await recordTest(
    testOf('a', [
      ['bios', 'ok'],
      ['uefi', 'ok'],
    ]),
    build.manifest,
  )
  await recordTest(testOf('a', [['bios', 'not reached']]), build.manifest)
  const failed = await readTestRecord(build.manifest)
  assert.is(failed?.ok, false)
  assert.equal(
    failed?.runs.map(({ ok }) => ok),
    [true, false],
  )
  assert.equal(failed?.runs[1]?.failed, ['swap'])
  await recordTest(testOf('a', [['bios', 'ok']]), build.manifest)
  assert.is((await readTestRecord(build.manifest))?.ok, true)
})
recording('says where it can not be written', async () => {
  const nowhere = join(dir, 'nowhere/a.imgmanifest')
  assert.match(
    await refusal(recordTest(testOf('a', []), nowhere)),
    /Cannot write ".*a\.test\.json"/,
  )
})
recording.after(() => rm(dir, { recursive: true })) // the last suite
recording.run()
