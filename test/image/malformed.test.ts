/** Manifests, records and lists as any tool, or nobody, could have written them. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { formatOfContent, nameOfImage } from '../../lib/image/formats.ts'
import { gunzip, gzip } from '../../lib/image/gzip.ts'
import { inspectRecords } from '../../lib/image/inspect-records.ts'
import { imageManifest, manifestProblems } from '../../lib/image/manifest.ts'
import { changesBetween, previousBuild, versionsOf } from '../../lib/image/package-changes.ts'
import { type Package, readPackageList } from '../../lib/image/package-list.ts'
import { fillPrototype } from '../../lib/image/prototype.ts'
import { parseProgress } from '../../lib/image/qcow2.ts'
import { junitReport } from '../../lib/image/report-junit.ts'
import { htmlReport } from '../../lib/image/report-html.ts'
import type { ImageTest } from '../../lib/image/test-image.ts'
import { readManifest } from '../../lib/image/read-manifest.ts'
import { packageUrl, spdxName } from '../../lib/image/sbom.ts'
import { readTestRecord, testRecordPath } from '../../lib/image/test-record.ts'
import { lastBuilt } from '../../lib/image/updates.ts'
import {
  anyBytes,
  anyJson,
  anyText,
  changedJson,
  damaged,
  fc,
  holds,
  isLine,
  linesOf,
  soon,
  told,
} from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'
import { collect } from '../zfs/streams.ts'

const data = {
  name: 'debian-12',
  version: '20260508',
  description: 'Debian 12',
  homepage: 'https://www.debian.org/',
  volumeBytes: 10 * 1024 ** 3,
  publishedAt: new Date('2026-05-08T00:00:00Z'),
  defaultUser: 'root',
  sha256: 'ab'.repeat(32),
  file: { sha1: 'cd'.repeat(20), bytes: 123, datasetGuid: 5n },
  records: { sbom: 'a.sbom.cdx.json', sbom_sha256: 'ab'.repeat(32) },
}
const good = imageManifest(data)
/** A manifest with something else in it, or any value at all. */
const someManifest = fc.oneof({ weight: 4, arbitrary: changedJson(good) }, anyJson())

const manifests = suite('manifests, whatever is in them')
manifests('of ours are read back as they were made', () =>
  inTemporaryDir((dir) =>
    holds(
      40,
      fc.record({
        name: fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/),
        version: fc.stringMatching(/^\d{8}$/),
        description: anyText(40).filter((text) => /\S/.test(text)),
        sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
        volumeBytes: fc.integer({ min: 1, max: 2 ** 30 }).map((mib) => mib * 1024 ** 2),
        defaultUser: fc.stringMatching(/^[a-z]{1,8}$/),
        firmware: fc.constantFrom(undefined, 'bios', 'uefi'),
        file: fc.record({
          sha1: fc.stringMatching(/^[0-9a-f]{40}$/),
          bytes: fc.integer({ min: 1, max: 2 ** 40 }),
          datasetGuid: fc.bigInt(1n, 2n ** 64n - 1n),
        }),
      }),
      async (own) => {
        const manifest = imageManifest({ ...data, ...own })
        assert.equal(manifestProblems(manifest), [])
        const path = join(dir, 'own.imgmanifest')
        await writeFile(path, JSON.stringify(manifest))
        const read = await readManifest(path)
        assert.is(read.uuid, manifest.uuid)
        assert.is(read.imageSize, own.volumeBytes / 1024 ** 2)
        assert.is(read.defaultUser, own.defaultUser)
        assert.is(read.firmware, own.firmware)
        assert.is(read.file.datasetGuid, String(own.file.datasetGuid))
        assert.is(read.file.sha1, own.file.sha1)
        assert.equal(read.records, [{ kind: 'sbom', name: data.records.sbom, sha256: data.sha256 }])
      },
    ),
  ),
)
manifests('are good, or have problems that are said', () =>
  holds(300, someManifest, (manifest) => {
    const problems = manifestProblems(manifest)
    if (problems.length > 0) return assert.ok(problems.every((one) => /^[^]*: ./.test(one)))
    // What holds of a good one, asked anew: not a value of it may be of another type.
    const { files, image_size: size, uuid } = manifest as typeof good
    assert.ok(Number.isSafeInteger(size) && size > 0)
    assert.type(uuid, 'string')
    const [{ sha1, size: bytes, dataset_guid: guid }] = files as [(typeof files)[0]]
    for (const text of [sha1, guid]) assert.type(text, 'string')
    assert.ok(Number.isSafeInteger(bytes) && bytes > 0)
  }),
)
manifests('of any tool are read, or refused', () =>
  inTemporaryDir((dir) =>
    holds(
      300,
      fc.oneof(
        someManifest.map((value) => JSON.stringify(value)),
        damaged(Buffer.from(JSON.stringify(good))).map(String),
      ),
      async (text) => {
        const path = join(dir, 'any.json')
        await writeFile(path, text)
        await told(async () => {
          const { file, imageSize, uuid, records } = await readManifest(path)
          assert.match(file.sha1, /^[0-9a-f]{40}$/)
          assert.ok(Number.isSafeInteger(file.size) && file.size >= 0)
          assert.ok(imageSize === undefined || (Number.isSafeInteger(imageSize) && imageSize > 0))
          assert.match(uuid, /^[0-9a-f-]{36}$/)
          assert.ok(records.every(({ name }) => !name.includes('/')))
        })
      },
    ),
  ),
)
manifests('have texts that have no text', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'odd.json')
    const odd = { toString: [], valueOf: 1 }
    for (const field of Object.keys(good)) {
      await writeFile(path, JSON.stringify({ ...good, [field]: odd }))
      await told(() => readManifest(path))
      assert.ok(manifestProblems({ ...good, [field]: odd }).length > 0, field)
    }
    for (const field of Object.keys(good.files[0]!)) {
      const files = [{ ...good.files[0], [field]: odd }]
      await writeFile(path, JSON.stringify({ ...good, files }))
      await told(() => readManifest(path))
      assert.ok(manifestProblems({ ...good, files }).length > 0, field)
    }
  }),
)
manifests('nest as deep as they like', async () => {
  const deep = (manifest: object) =>
    JSON.stringify(manifest).replace('"DEEP"', `${'['.repeat(20_000)}${']'.repeat(20_000)}`)
  assert.ok(manifestProblems(JSON.parse(deep({ ...good, owner: 'DEEP' }))).length > 0)
  await inTemporaryDir(async (dir) => {
    const path = join(dir, 'deep.json')
    for (const field of ['owner', 'name', 'tags', 'requirements', 'files']) {
      await writeFile(path, deep({ ...good, [field]: 'DEEP' }))
      await told(() => readManifest(path))
    }
  })
})
const VALUES = {
  NAME: 'debian-12',
  DATE: '20260508',
  DESC: 'a "b" \\ c\n',
  HOMEPAGE: 'https://www.debian.org/',
  ZVOL_SIZE: 10240,
  GZIP_SIZE: 123,
  TIME_NOW: '2026-05-08T12:00:00Z',
  IMAGE_UUID: good.uuid,
  IMAGE_SHA: 'cd'.repeat(20),
}
manifests('of prototypes are filled in, or refused', () =>
  holds(
    200,
    fc.oneof(
      changedJson({
        ...good,
        name: '@NAME@',
        description: '@DESC@',
        image_size: '@ZVOL_SIZE@',
        files: [{ ...good.files[0], size: '@GZIP_SIZE@', sha1: '@IMAGE_SHA@' }],
      }).map((value) => JSON.stringify(value)),
      linesOf(['@NAME@', '@DESC@', '@X@', '{', '}', '"', ':', ',', '[null]', '"files":'], 5),
    ),
    async (text) => {
      await told(() => assert.type(fillPrototype(text, VALUES, 'x.prototype'), 'object'))
    },
  ),
)
manifests.run()

const records = suite('what lies beside an image, whatever is in it')
records('is what the manifest means, or wrong', () =>
  inTemporaryDir((dir) =>
    holds(
      150,
      fc.tuple(
        fc.constantFrom('sbom', 'provenance'),
        fc.oneof(
          changedJson({
            components: [{ type: 'library' }],
            metadata: { component: { hashes: [{ alg: 'SHA-256', content: data.sha256 }] } },
            subject: [{ digest: { sha256: data.sha256 } }],
            predicate: { runDetails: { builder: { id: 'me' } } },
          }).map((value) => JSON.stringify(value)),
          anyJson().map((value) => JSON.stringify(value)),
          anyText(20),
        ),
      ),
      async ([kind, text]) => {
        await writeFile(join(dir, 'record'), text)
        const sha256 = createHash('sha256').update(text).digest('hex')
        const image = { path: 'x', bytes: 1, sha1: '', sha256: data.sha256 }
        const record = { kind: kind as 'sbom', name: 'record', sha256 }
        const [found] = await inspectRecords([record], join(dir, 'm.imgmanifest'), image)
        assert.ok(found!.state !== 'missing' && isLine(found!.says), found!.says)
        if (found!.state === 'matches') assert.ok(text.includes(data.sha256))
      },
    ),
  ),
)
records('of tests is a record, or none', () =>
  inTemporaryDir((dir) =>
    holds(
      100,
      fc.oneof(
        changedJson({
          sha1: data.file.sha1,
          ok: true,
          runs: [
            {
              firmware: 'bios',
              hardware: 'kvm',
              ok: true,
              failed: [],
              at: '2026-05-08T12:00:00.000Z',
            },
          ],
        }).map((value) => JSON.stringify(value)),
        anyText(20),
      ),
      async (text) => {
        const manifest = join(dir, 'image.imgmanifest')
        await writeFile(testRecordPath(manifest), text)
        const record = await readTestRecord(manifest)
        if (!record) return
        for (const run of record.runs) {
          assert.type(run.ok, 'boolean')
          assert.type(run.hardware, 'string')
          assert.ok(run.failed.every((name) => typeof name === 'string'))
          assert.not(Number.isNaN(Date.parse(run.at)))
        }
      },
    ),
  ),
)
records('of the build before is taken, or none', () =>
  inTemporaryDir((dir) =>
    holds(
      60,
      changedJson({ components: [{ type: 'library', name: 'bash', version: '5' }] }),
      async (value) => {
        await writeFile(join(dir, 'x-latest-build-stamp'), '.')
        await mkdir(join(dir, 'x'), { recursive: true })
        await writeFile(join(dir, 'x', 'x.sbom.cdx.json'), JSON.stringify(value))
        await writeFile(join(dir, 'x', 'x.imgmanifest'), JSON.stringify(value))
        await lastBuilt(dir, 'x')
        const previous = await previousBuild(dir, 'x')
        if (!previous) return
        for (const [name, version] of previous.versions) {
          assert.type(name, 'string')
          assert.type(version, 'string')
        }
        changesBetween(previous.versions, versionsOf([{ name: 'bash', version: '6' }]))
      },
    ),
  ),
)
records.run()

const LISTED = [
  'hybrid-images-system|',
  'hybrid-images-package|',
  'hybrid-images-licence|',
  'hybrid-images-packages|',
  'bash',
  '|',
  '|.',
  '1',
  '2',
  ';',
]
const somePackage: fc.Arbitrary<Package> = fc.record({
  name: fc.stringMatching(/^[a-z][a-z0-9+.-]{0,8}$/),
  version: fc.stringMatching(/^(\d:)?[0-9a-z.+~-]{1,8}$/),
  arch: fc.constantFrom('amd64', 'all', 'noarch'),
  source: fc.stringMatching(/^[a-z0-9.-]{0,8}$/),
  sourceVersion: fc.stringMatching(/^[0-9.:-]{0,8}$/),
  licences: fc.uniqueArray(fc.stringMatching(/^[A-Z][A-Za-z0-9.+-]{0,8}$/), { maxLength: 3 }),
})
const packages = suite('lists of packages')
packages('are read as they were printed, with a log around them and in pieces', () =>
  holds(
    100,
    fc.tuple(
      fc.uniqueArray(somePackage, { minLength: 1, maxLength: 6, selector: ({ name }) => name }),
      fc.array(
        anyText(20).map((text) => text.replaceAll(/[\n|]/g, '')),
        { maxLength: 4 },
      ),
      fc.integer({ min: 1, max: 20 }),
    ),
    ([wanted, noise, piece]) => {
      const printed = wanted.flatMap((one) => [
        `package|${one.name}|${one.version}|${one.arch}|${one.source}|${one.sourceVersion}`,
        ...(one.licences.join(';').match(new RegExp(`.{1,${piece}}`, 'g')) ?? []).map(
          (part) => `licence|${one.name}|${part}`,
        ),
      ])
      const text = ['system|debian|12|deb', ...printed, `packages|${wanted.length}`]
        .map((line, i) => `${noise[i % 4] ?? ''}hybrid-images-${line}|.\r`)
        .join('\nkernel: [1.0] hello\n')
      const byName = (a: Package, b: Package) => (a.name < b.name ? -1 : 1)
      assert.equal(readPackageList(text), {
        system: { id: 'debian', version: '12', kind: 'deb' },
        packages: wanted.map((one) => ({ ...one, licences: one.licences.sort() })).sort(byName),
      })
    },
  ),
)
packages('are whole or none, whatever a console shows', () =>
  holds(200, linesOf(LISTED), (text) => {
    const list = readPackageList(text)
    if (!list) return
    assert.ok(list.packages.length > 0)
    for (const one of list.packages) {
      assert.match(packageUrl(one, list.system), /^pkg:(deb|rpm)\/[^\s|]*$/)
      one.licences.forEach(spdxName)
    }
  }),
)
packages('are looked for in time that grows with the console', async () => {
  for (const piece of ['hybrid-images-', 'hybrid-images-package|', '|', ' ', '|.', 'a|.  ']) {
    await soon(() => readPackageList(piece.repeat(100_000)))
  }
})
packages.run()

const files = suite('image files')
files('are of a format, or refused', () =>
  inTemporaryDir((dir) =>
    holds(
      150,
      fc.oneof(
        anyBytes(600),
        fc
          .tuple(
            fc.constantFrom(
              'QFI\xfb',
              '\x1f\x8b',
              'BZh',
              '\xfd7zXZ',
              'PK\x03\x04',
              'KDMV',
              '\x1f\x8b\x08\x1f',
            ),
            anyBytes(300),
          )
          .map(([magic, rest]) => Buffer.concat([Buffer.from(magic, 'latin1'), rest])),
        anyBytes(300).chain((bytes) => damaged(gzipSync(bytes))),
      ),
      async (bytes) => {
        const path = join(dir, 'file')
        await writeFile(path, bytes)
        const error = await told(async () => assert.type(await formatOfContent(path), 'string'))
        if (error) assert.ok(isLine(error.message.replaceAll(dir, '')))
        await told(() => collect(gunzip(path)))
      },
    ),
  ),
)
files('that are gzipped are read back, and damaged ones are not taken for whole', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file.gz')
    await holds(
      60,
      fc
        .array(anyBytes(2000), { maxLength: 4 })
        .chain((pieces) => fc.tuple(fc.constant(pieces), fc.nat(), fc.nat(7))),
      async ([pieces, at, bit]) => {
        const content = Buffer.concat(pieces)
        const packed = await collect(gzip(pieces, { compressor: 'zlib', jobs: 2 }))
        await writeFile(path, packed)
        assert.ok((await collect(gunzip(path))).equals(content))
        // Bytes 4 to 9 of a header (time, flags, system) say nothing of the content.
        const copy = Buffer.from(packed)
        copy[at % copy.length]! ^= 1 << bit
        await writeFile(path, copy)
        let read: Buffer | undefined
        const error = await told(async () => (read = await collect(gunzip(path))))
        if (!error) assert.ok(read!.equals(content), `byte ${at % copy.length}, bit ${bit}`)
        await writeFile(path, packed.subarray(0, at % packed.length))
        assert.ok(await told(() => collect(gunzip(path))), `cut at ${at % packed.length}`)
      },
    )
  }),
)
files('have names, and what qemu-img prints is a fraction', () =>
  holds(150, anyText(20), (text) => {
    assert.type(nameOfImage(text), 'string')
    const fraction = parseProgress(`(${text}/100%)`) ?? parseProgress(text)
    assert.ok(fraction === undefined || fraction >= 0)
  }),
)
files.run()

/** Is it a document of elements that end, with text that has no markup of its own? */
function isWellFormed(text: string): boolean {
  const open: string[] = []
  for (const [, markup, other] of text.matchAll(/<([^<>]*)>|([^<]+|<)/g)) {
    if (other !== undefined) {
      if (/<|&(?!(amp|lt|gt|quot|#10|#39);)/.test(other)) return false
      continue
    }
    const [, close, name, attributes, empty] =
      /^(\/?)([\w-]+)((?: [\w-]+="[^"<]*")*)\s*(\/?)$/.exec(markup!) ?? []
    if (/^[?!]/.test(markup!) || empty || /^(meta|link|img|br)$/.test(name ?? '')) continue
    if (name === undefined || /&(?!(amp|lt|gt|quot|#10);)/.test(attributes!)) return false
    if (close && open.pop() !== name) return false
    if (!close) open.push(name)
  }
  return open.length === 0
}

const reports = suite('reports of a test')
reports('are well-formed, whatever the guest said', () =>
  holds(
    80,
    fc.tuple(
      fc.oneof(
        anyText(20),
        linesOf(['<b>', ']]>', '&', '"', '</pre>', '\ufffe', '\x1b[2J', "'"], 4),
      ),
      fc.constantFrom('ok', 'failed', 'not reached'),
    ),
    ([text, status]) => {
      const result = {
        firmware: 'bios',
        boot: 'first boot',
        name: text,
        title: text,
        status,
        evidence: text,
        seconds: 1.2,
        console: [text],
      }
      const test = {
        image: {
          manifest: { name: text, version: text, uuid: text },
          file: { path: text, sha1: '' },
          stream: { volumeBytes: 1, dataBytes: 1 },
        },
        startedAt: new Date(0),
        seconds: 1,
        hardware: 'kvm',
        accelerator: 'tcg',
        runs: [
          { firmware: 'bios', results: [result], moments: [{ boot: text, what: text, at: 1 }] },
        ],
      } as unknown as ImageTest // what reports look at of it
      const evidence = { serial: { bios: text }, screenshot: {} } as never
      const xml = junitReport(test, evidence)
      assert.ok(isWellFormed(xml), xml)
      // eslint-disable-next-line no-control-regex
      assert.not.match(xml, /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/)
      const body = htmlReport(test, evidence).replace(/<style>[^]*?<\/style>/, '')
      assert.ok(isWellFormed(body), body)
    },
  ),
)
reports.run()
