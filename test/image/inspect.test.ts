import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { BuildError } from '../../lib/cli/errors.ts'
import { convertImage } from '../../lib/image/convert.ts'
import { imageManifest, writeManifest } from '../../lib/image/manifest.ts'
import { inspectImage } from '../../lib/image/inspect.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const MIB = 1024 ** 2

const reading = suite('files that are none')
reading('are refused before anybody waits for them', () =>
  inTemporaryDir(async (dir) => {
    const fifo = join(dir, 'disk.raw')
    spawnSync('mkfifo', [fifo, join(dir, 'a.imgmanifest')])
    await symlink('loop', join(dir, 'loop'))
    for (const [work, reason] of [
      [() => inspectImage(fifo), /^Cannot read ".*disk\.raw": it is no regular file/],
      [() => inspectImage(join(dir, 'a.imgmanifest')), /^Cannot read ".*": it is no regular file/],
      [() => convertImage(fifo, join(dir, 'x.dd.gz'), 8192, () => {}), /no regular file/],
      [() => convertImage('/dev/zero', join(dir, 'x.dd.gz'), 8192, () => {}), /no regular file/],
      [() => inspectImage(join(dir, 'loop')), /^Cannot read ".*loop": it is a link to itself/],
      [() => inspectImage(dir), /^Cannot read ".*": it is a directory/],
    ] as const) {
      const error = await errorOf(work)
      assert.instance(error, BuildError)
      assert.match(error.message, reason)
    }
    assert.equal((await readdir(dir)).sort(), ['a.imgmanifest', 'disk.raw', 'loop'])
  }),
)
reading.run()

/** A disk of 3 MiB with some data, and its image with a manifest. */
async function makeImage(dir: string): Promise<{ raw: Buffer; manifest: string; image: string }> {
  const raw = Buffer.alloc(3 * MIB)
  raw.set(new Random(4).bytes(50_000), 123_456)
  await writeFile(join(dir, 'disk.raw'), raw)
  const image = join(dir, 'image-1.zfs.gz')
  await convertImage(join(dir, 'disk.raw'), image, 8192, () => {})
  const { file, stream } = await inspectImage(image)
  const manifest = join(dir, 'image-1.imgmanifest')
  await writeManifest(
    imageManifest({
      name: 'image',
      version: '1',
      description: 'an image',
      homepage: 'https://example.com/',
      volumeBytes: raw.length,
      publishedAt: new Date(0),
      defaultUser: 'root',
      sha256: file.sha256,
      file: { sha1: file.sha1, bytes: file.bytes, datasetGuid: stream.guid },
    }),
    manifest,
  )
  return { raw, manifest, image }
}

const inspecting = suite('inspectImage()')
inspecting('finds a good image good', () =>
  inTemporaryDir(async (dir) => {
    const { manifest } = await makeImage(dir)
    const { problems, stream } = await inspectImage(manifest)
    assert.equal(problems, [])
    assert.is(stream.volumeBytes, 3 * MIB)
    assert.is(stream.records['END'], 1)
  }),
)
inspecting('says of bill of materials and provenance whether they are there and match', () =>
  inTemporaryDir(async (dir) => {
    const { manifest } = await makeImage(dir)
    const { file } = await inspectImage(manifest)
    const hashes = [{ alg: 'SHA-256', content: file.sha256 }]
    const sbom = JSON.stringify({
      metadata: { component: { hashes } },
      components: [{ type: 'library' }, { type: 'operating-system' }],
    })
    const provenance = JSON.stringify({
      subject: [{ digest: { sha256: file.sha256 } }],
      predicate: { runDetails: { builder: { id: 'urn:me' } } },
    })
    const digest = (text: string) => createHash('sha256').update(text).digest('hex')
    const name = (what: { sbom: string; provenance: string }) =>
      edit(manifest, (value) => {
        value['tags'] = {
          sbom: 'image-1.sbom.cdx.json',
          sbom_sha256: digest(what.sbom),
          provenance: 'image-1.provenance.json',
          provenance_sha256: digest(what.provenance),
        }
      })
    await name({ sbom, provenance })
    const found = async () => {
      const { records, problems } = await inspectImage(manifest)
      return [...records.map(({ kind, state, says }) => `${kind} ${state}: ${says}`), ...problems]
    }
    assert.equal(await found(), ['sbom missing: not here', 'provenance missing: not here'])

    await writeFile(join(dir, 'image-1.sbom.cdx.json'), sbom)
    await writeFile(join(dir, 'image-1.provenance.json'), provenance)
    assert.equal(await found(), ['sbom matches: 1 packages', 'provenance matches: built by urn:me'])

    await writeFile(join(dir, 'image-1.sbom.cdx.json'), sbom.replace('library', 'file'))
    assert.match(
      (await found()).at(-1)!,
      /^sbom image-1\.sbom\.cdx\.json: sha256 is .* in the file$/,
    )

    const others = sbom.replace(file.sha256, '0'.repeat(64))
    await writeFile(join(dir, 'image-1.sbom.cdx.json'), others)
    await name({ sbom: others, provenance })
    assert.match((await found()).at(-1)!, /it speaks of another image$/)
  }),
)

/** Rewrites a value in the manifest. */
const edit = async (manifest: string, change: (value: Record<string, unknown>) => void) => {
  const value = JSON.parse(await readFile(manifest, 'utf8')) as Record<string, unknown>
  change(value)
  await writeFile(manifest, JSON.stringify(value))
}
type Files = [{ sha1: string; size: number; dataset_guid: string }]
for (const [name, change, expected] of [
  ['another size', (m) => ((m['files'] as Files)[0].size += 1), /size is \d+, not \d+$/],
  [
    'another sha1',
    (m) => ((m['files'] as Files)[0].sha1 = '0'.repeat(40)),
    /sha1 is \w+, not 0{40}$/,
  ],
] as [string, (value: Record<string, unknown>) => void, RegExp][]) {
  inspecting(`refuses a manifest with ${name}`, () =>
    inTemporaryDir(async (dir) => {
      const { manifest } = await makeImage(dir)
      await edit(manifest, change)
      const error = await errorOf(() => inspectImage(manifest))
      assert.match(error.message, /^Image does not match ".*image-1\.imgmanifest": /)
      assert.match(error.message, expected)
    }),
  )
}
for (const [name, change, expected] of [
  [
    'another image_size',
    (m) => (m['image_size'] = 10),
    'image_size is 10 in the manifest, 3 in the file',
  ],
  ['another guid', (m) => ((m['files'] as Files)[0].dataset_guid = '5'), 'dataset_guid is 5'],
] as [string, (value: Record<string, unknown>) => void, string][]) {
  inspecting(`tells of ${name}`, () =>
    inTemporaryDir(async (dir) => {
      const { manifest } = await makeImage(dir)
      await edit(manifest, change)
      const { problems } = await inspectImage(manifest)
      assert.is(problems.length, 1)
      assert.ok(problems[0]!.startsWith(expected), problems[0])
    }),
  )
}
inspecting('says which file is not there, and what is', () =>
  inTemporaryDir(async (dir) => {
    const { manifest, image } = await makeImage(dir)
    await rename(image, join(dir, 'other.zfs.gz'))
    const error = await errorOf(() => inspectImage(manifest))
    assert.match(
      error.message,
      /Cannot find the image file of ".*image-1\.imgmanifest": there is no/,
    )
    assert.match(error.hint!, /other\.zfs\.gz/)
  }),
)
inspecting('finds damage and cuts in the file itself', () =>
  inTemporaryDir(async (dir) => {
    const { image } = await makeImage(dir)
    const stream = gunzipSync(await readFile(image))
    stream[20_000]! ^= 1
    await writeFile(image, gzipSync(stream))
    assert.match(
      (await errorOf(() => inspectImage(image))).message,
      /Cannot read stream: it is damaged/,
    )
    await writeFile(image, gzipSync(stream.subarray(0, 15_000)))
    assert.match((await errorOf(() => inspectImage(image))).message, /it is cut off in record/)
    await truncate(image, Math.floor((await stat(image)).size / 2))
    assert.match(
      (await errorOf(() => inspectImage(image))).message,
      /Cannot decompress .*: it is cut off/,
    )
    await writeFile(image, '')
    assert.match((await errorOf(() => inspectImage(image))).message, /it is empty/)
    await rm(image)
    assert.match((await errorOf(() => inspectImage(image))).message, /no such file/)
  }),
)
inspecting('refuses what is no send stream', () =>
  inTemporaryDir(async (dir) => {
    await makeImage(dir)
    await writeFile(join(dir, 'disk.dd.gz'), gzipSync(await readFile(join(dir, 'disk.raw'))))
    for (const name of ['disk.raw', 'disk.dd.gz']) {
      const { message } = await errorOf(() => inspectImage(join(dir, name)))
      assert.match(message, /^Cannot inspect ".*": it is no send stream$/)
    }
  }),
)
inspecting('as a command: status and output', () =>
  inTemporaryDir(async (dir) => {
    const { manifest } = await makeImage(dir)
    const command = fileURLToPath(new URL('../../bin/inspect-image', import.meta.url))
    const inspect = (...args: string[]) => spawnSync(command, args, { encoding: 'utf8' })
    const good = inspect(manifest)
    assert.is(good.status, 0)
    assert.match(good.stdout, /^volume +3\.0 MiB in blocks of 8192 bytes$/m)
    assert.match(
      good.stdout,
      /^records +1 BEGIN, 2 OBJECT, 2 FREE, \d+ WRITE, 1 FREEOBJECTS, 1 END$/m,
    )
    const json = JSON.parse(inspect(manifest, '--json').stdout) as { stream: { guid: string } }
    assert.match(json.stream.guid, /^\d+$/)
    await edit(manifest, (m) => (m['image_size'] = 10))
    const bad = inspect(manifest)
    assert.is(bad.status, 1)
    assert.match(bad.stderr, /^Error: Image does not match its manifest: image_size is 10/m)
  }),
)
inspecting.run()
