import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { rocky } from '../../distros/rocky.ts'
import { commonOptions, parseArguments } from '../../lib/cli/options.ts'
import { versionIn } from '../../lib/host/versions.ts'
import {
  listMaterials,
  sourcesOfMaterials,
  mediumMaterial,
  mirrorMaterials,
  ownMaterials,
  snapshotOf,
} from '../../lib/image/materials.ts'
import { provenanceText } from '../../lib/image/provenance.ts'
import { imageOptions } from '../../lib/image/image-options.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { statementProblems } from '../statement.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const at = new Date('2026-05-08T12:00:00.123Z')
const stamp = {
  text: 'main-20260508T120000Z-0123456789ab',
  branch: 'main',
  at,
  commit: '0123456789ab',
}
const SNAPSHOT = 'http://snapshot.debian.org/archive/debian/20260501T000000Z'

async function recipeOf(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const command = { name: 'x', summary: '', words: ['RELEASE'], examples: [] }
  const options = { ...imageOptions, ...commonOptions }
  const { options: given } = parseArguments({ ...command, options }, argv, env)
  return resolveRecipe(debian, '12', given, stamp, env)
}

async function statementOf(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const recipe = await recipeOf(argv, env)
  return provenanceText({
    recipe,
    distro: 'debian',
    seed: 'seed',
    image: { path: '', bytes: 1, sha1: 'ab'.repeat(20), sha256: 'cd'.repeat(32) },
    imageName: 'debian-12-20260508.zfs.gz',
    materials: mirrorMaterials(recipe),
    byproducts: [{ name: 'x.sbom.cdx.json', digest: { sha256: 'ef'.repeat(32) } }],
    versions: { 'hybrid-images': '0.1.0', mmdebstrap: '1.3.5' },
    finishedAt: new Date(at.getTime() + 61_000),
  })
}

type Statement = {
  subject: { name: string; digest: Record<string, string> }[]
  predicate: {
    buildDefinition: {
      externalParameters: Record<string, unknown>
      resolvedDependencies: { uri: string; annotations?: { snapshot: string } }[]
    }
    runDetails: { builder: { id: string }; metadata: Record<string, string> }
  }
}
const parse = (text: string) => JSON.parse(text) as Statement

const stating = suite('provenanceText()')
stating('is what in-toto and SLSA want', async () => {
  const text = await statementOf(['12', '--mirror', SNAPSHOT])
  assert.equal(statementProblems(JSON.parse(text)), [])
  const { subject, predicate } = parse(text)
  assert.equal(subject, [
    {
      name: 'debian-12-20260508.zfs.gz',
      digest: { sha256: 'cd'.repeat(32), sha1: 'ab'.repeat(20) },
    },
  ])
  const { buildDefinition, runDetails } = predicate
  assert.is(buildDefinition.externalParameters['release'], '12')
  assert.is(buildDefinition.resolvedDependencies[0]!.uri, SNAPSHOT)
  assert.equal(buildDefinition.resolvedDependencies[0]!.annotations, {
    snapshot: '20260501T000000Z',
  })
  assert.equal(runDetails.metadata, {
    invocationId: stamp.text,
    startedOn: '2026-05-08T12:00:00Z',
    finishedOn: '2026-05-08T12:01:01Z',
  })
})
stating('names who builds', async () => {
  const id = (text: string) => parse(text).predicate.runDetails.builder.id
  assert.is(id(await statementOf(['12'])), 'urn:hybrid-images:builder:local')
  const uri = 'https://ci.example.com/'
  assert.is(id(await statementOf(['12', '--builder', uri])), uri)
  assert.is(id(await statementOf(['12'], { HYBRID_IMAGES_BUILDER: uri })), uri)
  const refused = await errorOf(() => recipeOf(['12', '--builder', 'me']))
  assert.match(refused.message, /^Cannot read builder "me": it has to be a URI/)
})
stating('tells no name and no password, and no path of this machine', async () => {
  const text = await statementOf([
    ...['12', '--mirror', 'http://me:secret@mirror.example.com/debian'],
    ...['--proxy', 'http://you:hidden@proxy:3128', '--output', '/home/somebody/bits'],
    ...['--cache', '/home/somebody/cache'],
  ])
  assert.not.match(text, /secret|hidden|somebody/)
  assert.match(text, /http:\/\/\*\*\*@mirror\.example\.com\/debian/)
  assert.match(text, /http:\/\/\*\*\*@proxy:3128/)
})
stating.run()

const checking = suite('statementProblems()')
for (const [what, change, expected] of [
  [
    'a subject without digest',
    (s) => delete (s.subject[0] as { digest?: unknown }).digest,
    /subject/,
  ],
  ['a digest of other digits', (s) => (s.subject[0]!.digest['sha256'] = 'AB'), /sha256: AB/],
  ['no builder', (s) => (s.predicate.runDetails.builder.id = ''), /builder\.id/],
  [
    'a material that is nothing',
    (s) => (s.predicate.buildDefinition.resolvedDependencies = [{} as never]),
    /resolvedDependencies\[0\]: has no uri/,
  ],
  ['another time', (s) => (s.predicate.runDetails.metadata['startedOn'] = 'noon'), /startedOn/],
] as [string, (statement: Statement) => void, RegExp][]) {
  checking(`sees ${what}`, async () => {
    const statement = parse(await statementOf(['12']))
    change(statement)
    assert.match(statementProblems(statement).join('\n'), expected)
  })
}
checking.run()

const materials = suite('materials')
materials('are the signed lists that packages were chosen from, with their digests', () =>
  inTemporaryDir(async (dir) => {
    const name = 'mirror.example.com_debian_dists_bookworm_InRelease'
    await writeFile(join(dir, name), 'Suite: stable\nDate: Sat, 02 May 2026 09:00:00 UTC\n')
    const sources = [
      'deb http://mirror.example.com/debian bookworm main',
      'deb [check-valid-until=no] http://me:secret@mirror/debian/ bookworm-updates main',
    ]
    const found = await listMaterials(sources, dir)
    assert.equal(
      found.map(({ uri }) => uri),
      [
        'http://mirror.example.com/debian/dists/bookworm/InRelease',
        'http://***@mirror/debian/dists/bookworm-updates/InRelease',
      ],
    )
    assert.match(found[0]!.digest!['sha256']!, /^[0-9a-f]{64}$/)
    assert.equal(found[0]!.annotations, { date: 'Sat, 02 May 2026 09:00:00 UTC' })
    assert.is(found[1]!.digest, undefined)
    assert.equal(sourcesOfMaterials(found)[0], {
      uri: 'http://mirror.example.com/debian/dists/bookworm/InRelease',
      suite: 'bookworm',
      date: 'Sat, 02 May 2026 09:00:00 UTC',
      sha256: found[0]!.digest!['sha256'],
    })
  }),
)
materials('are media by their vendor’s digest, or by their own', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'a.iso')
    await writeFile(path, 'hello\n')
    const digest = { algorithm: 'sha512' as const, hex: 'ab'.repeat(64) }
    const from = 'https://cdimage.debian.org/iso-cd/'
    assert.equal(await mediumMaterial({ path, name: 'a.iso', digest, from }), {
      name: 'a.iso',
      uri: 'https://cdimage.debian.org/iso-cd/a.iso',
      digest: { sha512: digest.hex },
    })
    assert.equal(await mediumMaterial({ path, name: 'a.iso', digest: undefined, from: path }), {
      name: 'a.iso',
      digest: { sha256: '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03' },
    })
  }),
)
materials('are the operator’s own files', () =>
  inTemporaryDir(async (dir) => {
    await mkdir(join(dir, 'bin'))
    const script = join(dir, 'bin/my-changes.sh')
    await writeFile(script, 'hello\n')
    const [one, ...others] = await ownMaterials(await recipeOf(['12', '--customize', script]))
    assert.equal(others, [])
    assert.is(one!.name, 'my-changes.sh')
    assert.equal(one!.annotations, { use: 'customize' })
    assert.match(one!.digest!['sha256']!, /^5891b5b5/)
  }),
)
materials('are the vendor’s repositories, where the installer is told of no other', async () => {
  const { options } = parseArguments(
    { name: 'x', summary: '', words: ['R'], examples: [], options: imageOptions },
    ['9'],
    {},
  )
  const found = mirrorMaterials(await resolveRecipe(rocky, '9', options, stamp, {}))
  assert.match(found[0]!.uri!, /^https?:\/\/\S+rocky\S+$/)
  assert.is(found.length, 1)
})
materials('know archives of old states by their address', () => {
  assert.is(snapshotOf(SNAPSHOT), '20260501T000000Z')
  assert.is(snapshotOf('http://mirror.example.com/debian'), undefined)
})
materials.run()

const versions = suite('versionIn()')
for (const [said, expected] of [
  ['mmdebstrap 1.3.5', '1.3.5'],
  ['qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022', '7.2.22'],
  ['mke2fs 1.47.0 (5-Feb-2023)\n\tUsing EXT2FS Library version 1.47.0', '1.47.0'],
  ['mcopy (GNU mtools) 4.0.33', '4.0.33'],
  ['libdeflate compression program v1.14', '1.14'],
  ['sfdisk from util-linux 2.38.1', '2.38.1'],
  ['usage: newuidmap <pid> <uid>', undefined],
] as const) {
  versions(said.split('\n')[0]!, () => assert.is(versionIn(said), expected))
}
versions.run()
