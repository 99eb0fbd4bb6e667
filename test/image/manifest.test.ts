import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import imgmanifest from 'imgmanifest'
import {
  checkDraft,
  checkManifest,
  contentUuid,
  imageManifest,
  manifestProblems,
  writeManifest,
} from '../../lib/image/manifest.ts'
import { readManifest } from '../../lib/image/read-manifest.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const data = {
  name: 'debian-12',
  version: '20260508',
  description: 'Debian 12 for KVM/bhyve & "others"', // a slash broke a template of our ancestors
  homepage: 'https://www.debian.org/',
  volumeBytes: 10 * 1024 ** 3,
  publishedAt: new Date('2026-05-08T00:00:00.123Z'),
  defaultUser: 'root',
  sha256: 'ab'.repeat(32),
  file: { sha1: 'cd'.repeat(20), bytes: 123, datasetGuid: 2n ** 64n - 1n },
}
const good = imageManifest(data)

/** A copy with one value changed; `path` is like `files.0.sha1`. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(good) as unknown as Record<string, unknown>
  const keys = path.split('.')
  const last = keys.pop()!
  const holder = keys.reduce((at, key) => at[key] as Record<string, unknown>, copy)
  if (value === undefined) delete holder[last]
  else holder[last] = value
  return copy
}

const making = suite('imageManifest()')
making('says what the image is', () => {
  assert.is(good.image_size, 10240)
  assert.is(good.published_at, '2026-05-08T00:00:00Z')
  assert.is(good.homepage, data.homepage)
  assert.is(good.description, data.description)
  assert.equal(good.files, [
    { sha1: data.file.sha1, size: 123, compression: 'gzip', dataset_guid: '18446744073709551615' },
  ])
  assert.equal(manifestProblems(good), [])
})
making('is accepted by Triton in every mode', () => {
  assert.is(imgmanifest.validateMinimalManifest(good), null)
  // As IMGAPI has it: it adds this field, and takes no manifest that brings it.
  const imported = { ...good, activated: true }
  assert.is(imgmanifest.validateDcManifest(imported), null)
  assert.is(imgmanifest.validatePublicManifest(imported), null)
})
making('names what lies beside the image as tags, which Triton accepts', () => {
  const records = { sbom: 'a.sbom.cdx.json', sbom_sha256: 'ab'.repeat(32) }
  const manifest = imageManifest({ ...data, records })
  assert.is(manifest.tags['sbom'], records.sbom)
  assert.is(manifest.tags['sbom_sha256'], records.sbom_sha256)
  assert.equal(manifestProblems(manifest), [])
  assert.is(imgmanifest.validateDcManifest({ ...manifest, activated: true }), null)
})
making('refuses a volume that is no whole MiB', () => {
  assert.throws(() => imageManifest({ ...data, volumeBytes: 1024 ** 2 + 512 }), /no whole MiB/)
})
making.run()

const uuids = suite('contentUuid()')
uuids('is a UUID, the same for the same content', () => {
  const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (const digest of ['0'.repeat(64), 'f'.repeat(64), 'ab12'.repeat(16)]) {
    assert.match(contentUuid(digest), shape)
    assert.is(contentUuid(digest), contentUuid(digest))
  }
  assert.is.not(contentUuid('0'.repeat(64)), contentUuid('0'.repeat(31) + '1'.repeat(33)))
})
uuids.run()

const rules = suite('manifestProblems()')
const time = '2026-05-08T00:00:00Z'
const table: [string, unknown[], unknown[]][] = [
  ['v', [2], ['2', 7, 1, undefined, null]],
  ['uuid', [good.uuid], [good.uuid.toUpperCase(), 'x', 5, undefined]],
  ['owner', [good.uuid], ['', undefined, 'nobody']],
  ['name', ['a/b c._-1'], ['', 'a:b', 5, 'x'.repeat(513), undefined]],
  ['version', ['1.0+b/2_-'], ['', 'a b', 5, 'x'.repeat(129)]],
  ['state', ['active'], ['unactivated', 'great', undefined]],
  ['disabled', [false], ['false', true, 0]],
  // AdminImportImage, and with it sdc-imgadm import, refuses it.
  ['activated', [undefined], [true, 'true', false]],
  ['public', [true], [false, 'true', 1, undefined]],
  [
    'published_at',
    [time, '2026-05-08T00:00:00.123Z'],
    ['2026-99-99T99:99:99Z', '2026-02-30T00:00:00Z', '2026-05-08', 5],
  ],
  ['type', ['zvol'], ['lx-dataset', undefined]],
  ['os', ['linux', 'bsd'], ['plan9', '', undefined]],
  ['description', ['x'], ['', 'x'.repeat(513), 5]],
  ['homepage', ['http://x'], ['ftp://x', 'http://', `http://${'x'.repeat(130)}`, 5, '@HOMEPAGE@']],
  ['nic_driver', ['virtio'], ['e1000', undefined]],
  ['disk_driver', ['virtio'], ['ide', undefined]],
  ['cpu_type', ['host', 'qemu64'], ['', 5]],
  ['image_size', [1, 10240], [0, -5, '', '10240', 1.5, undefined]],
  ['files.0.sha1', ['0'.repeat(40)], ['zz', 'A'.repeat(40), '', undefined]],
  ['files.0.size', [1], ['big', 0, -1, 1.5, 2 ** 60, undefined]],
  ['files.0.compression', ['gzip'], ['gz', 'zstd', 'bzip2', undefined]],
  [
    'files.0.dataset_guid',
    ['1', '18446744073709551615'],
    ['0', '18446744073709551616', 'x', 5, '007'],
  ],
  ['files.0.other', [], ['x']],
  ['files', [], [[], [good.files[0], good.files[0]], 'x', undefined, [null]]],
  ['requirements', [{}, undefined], [null, [], 'x']],
  ['requirements.ssh_key', [true, undefined], ['true']],
  [
    'requirements.networks',
    [[]],
    [[{ name: 'net0' }], [{ name: 'net0', description: 'x', more: 1 }], {}],
  ],
  ['requirements.min_ram', [512], ['512', 0, 1.5]],
  [
    'requirements.min_platform',
    [{ '7.0': '20260101T000000Z' }],
    [{}, { '7.0': '2026' }, { '7.0': '20261301T000000Z' }, { '7.0': '20110101T000000Z' }, 'x'],
  ],
  ['requirements.brand', [], ['bhyve']],
  ['requirements.bootrom', [], ['uefi']],
  ['users', [[], [{ name: 'a' }], undefined], [[{ name: 'a', more: 1 }], [{}], ['root'], {}]],
  ['tags', [{}, { a: 'x', b: 1, c: true }, undefined], [null, { a: {} }, { a: null }, []]],
  ['channels', [], [['dev']]],
  ['icon', [], [true]],
  ['sbom', [], ['x']],
]
for (const [path, fine, wrong] of table) {
  const field = path.replace('.0.', '[0].')
  rules(`${field}: takes what is right, names it when it is wrong`, () => {
    for (const value of fine) {
      assert.equal(manifestProblems(changed(path, value)), [], JSON.stringify(value))
    }
    for (const value of wrong) {
      const problems = manifestProblems(changed(path, value))
      const named = problems.some((problem) => problem.startsWith(`${field}`))
      assert.ok(named, `${JSON.stringify(value)}: ${problems.join('; ') || 'accepted'}`)
    }
  })
}
rules('min_ram is at most max_ram', () => {
  const requirements = { ...good.requirements, min_ram: 1024, max_ram: 512 }
  assert.match(
    manifestProblems({ ...good, requirements }).join(),
    /min_ram: must be at most max_ram/,
  )
})
rules('what is no object is said to be none', () => {
  for (const value of [null, [], 'x', 5, undefined]) {
    assert.equal(manifestProblems(value), ['manifest: must be an object'])
  }
})
rules.run()

const checking = suite('checkManifest(), checkDraft()')
checking('name all problems at once', async () => {
  const error = await errorOf(async () => checkManifest({ ...good, v: 1, os: 'x' }))
  assert.match(error.message, /^Cannot use this manifest: v: must be 2 \(found 1\); os: must be/)
})
checking('find what is wrong before the build', async () => {
  checkDraft(data)
  const error = await errorOf(async () => checkDraft({ ...data, name: 'a:b' }))
  assert.match(error.message, /name: must be letters/)
})
checking.run()

const files = suite('writeManifest(), readManifest()')
files('come back as they went', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'x.imgmanifest')
    await writeManifest(good, path)
    assert.equal(JSON.parse(await readFile(path, 'utf8')), good)
    assert.equal(await readManifest(path), {
      uuid: good.uuid,
      name: 'debian-12',
      version: '20260508',
      type: 'zvol',
      firmware: undefined,
      records: [],
      cpu: undefined,
      imageSize: 10240,
      defaultUser: data.defaultUser,
      file: {
        sha1: data.file.sha1,
        size: 123,
        compression: 'gzip',
        datasetGuid: '18446744073709551615',
      },
    })
    assert.equal(await readdir(dir), ['x.imgmanifest'])
  }),
)
files('write nothing that is wrong', () =>
  inTemporaryDir(async (dir) => {
    await errorOf(() => writeManifest({ ...good, image_size: 0 }, join(dir, 'x')))
    assert.equal(await readdir(dir), [])
  }),
)
for (const [text, expected] of [
  ['{"v": 2,', /Cannot read manifest ".*": .*JSON/],
  ['[]', /it is no JSON object/],
  ['null', /it is no JSON object/],
  ['{}', /uuid: MissingParameter/],
  [JSON.stringify({ ...good, files: undefined }), /names no file with a size and a sha1/],
  [JSON.stringify({ ...good, files: [{ ...good.files[0], size: 'big' }] }), /names no file/],
  [JSON.stringify({ ...good, tags: null }), /imgadm can't read it/],
  [JSON.stringify({ ...good, type: 'zip' }), /type: Invalid/],
] as [string, RegExp][]) {
  files(`refuse ${text.slice(0, 30)}`, () =>
    inTemporaryDir(async (dir) => {
      await writeFile(join(dir, 'x'), text)
      assert.match((await errorOf(() => readManifest(join(dir, 'x')))).message, expected)
    }),
  )
}
files('read manifests of other tools', () =>
  inTemporaryDir(async (dir) => {
    const { owner: _owner, image_size: _size, ...other } = good
    await writeFile(join(dir, 'x'), JSON.stringify({ ...other, v: '2' }))
    assert.is((await readManifest(join(dir, 'x'))).imageSize, undefined)
  }),
)
files.run()
