import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { packageUrl, type SbomData, sbomText, spdxName } from '../../lib/image/sbom.ts'

const schemas = fileURLToPath(
  new URL('../../node_modules/@cyclonedx/cyclonedx-library/res/schema', import.meta.url),
)
const deb = { id: 'debian', version: '12', kind: 'deb' } as const
const rpm = { id: 'rocky', version: '9.4', kind: 'rpm' } as const

const data: SbomData = {
  name: 'debian-12',
  version: '20260508',
  description: 'Debian 12',
  sha1: 'cd'.repeat(20),
  sha256: 'ab'.repeat(32),
  seed: 'debian-12/20260508/stamp',
  at: new Date('2026-05-08T00:00:00Z'),
  distro: { name: 'debian', release: '12' },
  madeBy: '0.1.0',
  list: {
    system: deb,
    packages: [
      {
        name: 'bash',
        version: '5.2.15-2+b7',
        arch: 'amd64',
        source: 'bash',
        sourceVersion: '5.2.15-2',
        licences: ['GPL-3+', 'Expat', 'MIT', 'Nobody knows'],
      },
      {
        name: 'acl',
        version: '1:2',
        arch: 'all',
        source: '',
        sourceVersion: '',
        licences: [],
      },
    ],
  },
}

type Sbom = {
  serialNumber: string
  metadata: { timestamp: string; component: { name: string; hashes: unknown[] } }
  components: { type: string; name: string; purl?: string; licenses?: unknown[] }[]
}
const parse = (text: string) => JSON.parse(text) as Sbom

const writing = suite('sbomText()')
writing('is what the schema of CycloneDX wants', async () => {
  // Formats are those of internationalised addresses, which ajv has none of.
  const ajv = new Ajv({ strict: false, validateFormats: false })
  const schema = async (name: string) =>
    JSON.parse(await readFile(join(schemas, `${name}.SNAPSHOT.schema.json`), 'utf8')) as object
  for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
    ajv.addSchema({
      ...(await schema(name)),
      $id: `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`,
    })
  }
  const validate = ajv.compile(await schema('bom-1.6'))
  const sbom: unknown = JSON.parse(await sbomText(data))
  assert.ok(validate(sbom), JSON.stringify(validate.errors))
  assert.not(validate({ ...(sbom as object), serialNumber: 'x' }), 'it does see faults')
})
writing('has image, system and packages, sorted', async () => {
  const { metadata, components } = parse(await sbomText(data))
  assert.is(metadata.component.name, 'debian-12')
  assert.is(metadata.timestamp, '2026-05-08T00:00:00.000Z')
  assert.equal(metadata.component.hashes, [
    { alg: 'SHA-1', content: data.sha1 },
    { alg: 'SHA-256', content: data.sha256 },
  ])
  assert.equal(
    components.map(({ type, name, purl }) => [type, name, purl]),
    [
      ['library', 'acl', 'pkg:deb/debian/acl@1:2?arch=all&distro=debian-12'],
      ['library', 'bash', 'pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12'],
      ['operating-system', 'debian', undefined],
    ],
  )
  assert.equal(components[1]!.licenses, [
    { license: { name: 'Nobody knows' } },
    { license: { id: 'GPL-3.0-or-later' } },
    { license: { id: 'MIT' } },
  ])
})
writing('is the same for the same build, and another for another', async () => {
  const text = await sbomText(data)
  const { packages } = data.list
  const turned = { ...data.list, packages: packages.toReversed() }
  assert.is(await sbomText({ ...data, list: turned }), text)
  assert.is.not(
    parse(await sbomText({ ...data, seed: 'x' })).serialNumber,
    parse(text).serialNumber,
  )
})
writing('names the system by its recipe where it does not itself', async () => {
  const list = { ...data.list, system: { id: '', version: '', kind: 'rpm' as const } }
  const distro = { name: 'centos', release: '6' }
  const { components } = parse(await sbomText({ ...data, list, distro }))
  assert.is(components[0]!.purl, 'pkg:rpm/centos/acl@2?arch=all&distro=centos-6&epoch=1')
})
writing.run()

const urls = suite('packageUrl()')
urls('has the epoch of an RPM beside its version', () => {
  const bind = { name: 'bind-libs', version: '32:9.11-1.el8', arch: 'x86_64' }
  assert.is(
    packageUrl(bind, rpm),
    'pkg:rpm/rocky/bind-libs@9.11-1.el8?arch=x86_64&distro=rocky-9.4&epoch=32',
  )
  const plain = { name: 'libstdc++', version: '11.4~rc1^git-1', arch: 'x86_64' }
  assert.is(
    packageUrl(plain, rpm),
    'pkg:rpm/rocky/libstdc%2B%2B@11.4~rc1%5Egit-1?arch=x86_64&distro=rocky-9.4',
  )
})
urls.run()

const names = suite('spdxName()')
for (const [name, expected] of [
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['GPL-3', 'GPL-3.0-only'],
  ['LGPL-2.1+', 'LGPL-2.1-or-later'],
  ['Expat', 'MIT'],
  ['GPL-2+ with OpenSSL exception', 'GPL-2+ with OpenSSL exception'],
] as const) {
  names(`${name} is ${expected}`, () => assert.is(spdxName(name), expected))
}
names.run()
