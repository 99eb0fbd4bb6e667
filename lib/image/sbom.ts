/**
 * Bills of materials of images: CycloneDX 1.6 in JSON, one component for each package. The same image has the
 * same: sorted, its serial number made of the build's seed, its time that of the build.
 *
 * Sources: cyclonedx.org/docs/1.6/json; purl-spec, types deb and rpm; for licences "License specification" of
 * Debian's machine-readable copyright format 1.0.
 */
import { createHash } from 'node:crypto'
import { contentUuid } from './manifest.ts'
import type { Package, PackageList } from './package-list.ts'

export type SbomData = {
  /** The image's own. */
  name: string
  version: string
  description: string
  sha1: string
  sha256: string
  /** What the serial number is derived from. */
  seed: string
  at: Date
  /** Names the system where it does not itself. */
  distro: { name: string; release: string }
  list: PackageList
  /** This project's version. */
  madeBy: string
}

/** As package URLs write a part: a colon stays, as epochs have one. */
const purlPart = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':')

/** `pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12` */
export function packageUrl(
  { name, version, arch }: Pick<Package, 'name' | 'version' | 'arch'>,
  system: PackageList['system'],
): string {
  const [, epoch, plain = version] =
    system.kind === 'rpm' ? (/^(\d+):(.*)$/.exec(version) ?? []) : []
  const distro = system.version === '' ? system.id : `${system.id}-${system.version}`
  const qualifiers = [
    ...(arch === '' ? [] : [`arch=${purlPart(arch)}`]),
    `distro=${purlPart(distro)}`,
    ...(epoch === undefined ? [] : [`epoch=${epoch}`]),
  ]
  return `pkg:${system.kind}/${purlPart(system.id)}/${purlPart(name)}@${purlPart(plain)}?${qualifiers.join('&')}`
}

/** Names of Debian's that SPDX has others for. */
const RENAMED: Record<string, string> = {
  Expat: 'MIT',
  'Apache-2': 'Apache-2.0',
  PSF: 'PSF-2.0',
  CC0: 'CC0-1.0',
}

/** What SPDX calls a licence, or the name as it is: `GPL-2+` is `GPL-2.0-or-later`. */
export function spdxName(name: string): string {
  const [, family, major, minor = '0', orLater] =
    /^(A?GPL|LGPL|GFDL)-(\d)(?:\.(\d))?(\+)?$/.exec(name) ?? []
  if (family) return `${family}-${major}.${minor}-${orLater ? 'or-later' : 'only'}`
  return RENAMED[name] ?? name
}

const serialNumber = (seed: string) =>
  `urn:uuid:${contentUuid(createHash('sha256').update(`${seed}/sbom`).digest('hex'))}`

/** The text of the file. */
export async function sbomText(data: SbomData): Promise<string> {
  // Half of a command's start: loaded when it is needed.
  const { Enums, Models, Serialize, Spec, SPDX } = await import('@cyclonedx/cyclonedx-library')
  const system = {
    ...data.list.system,
    id: data.list.system.id || data.distro.name,
    version: data.list.system.version || data.distro.release,
  }
  const licencesOf = ({ licences }: Package) => {
    // Two of Debian's names may be one of SPDX'.
    const known = new Map(licences.map((name) => [SPDX.fixupSpdxId(spdxName(name)) ?? name, name]))
    const models = [...known].map(([id, name]) =>
      SPDX.isSupportedSpdxId(id) ? new Models.SpdxLicense(id) : new Models.NamedLicense(name),
    )
    return new Models.LicenseRepository(models)
  }
  const component = (one: Package) => {
    const purl = packageUrl(one, system)
    const source = [one.source, one.sourceVersion].filter(Boolean).join(' ')
    return new Models.Component(Enums.ComponentType.Library, one.name, {
      bomRef: purl,
      purl,
      version: one.version,
      licenses: licencesOf(one),
      properties: new Models.PropertyRepository(
        source === '' ? [] : [new Models.Property('hybrid-images:source', source)],
      ),
    })
  }
  const bom = new Models.Bom({
    serialNumber: serialNumber(data.seed),
    metadata: new Models.Metadata({
      timestamp: data.at,
      tools: new Models.Tools({
        components: new Models.ComponentRepository([
          new Models.Component(Enums.ComponentType.Application, 'hybrid-images', {
            version: data.madeBy,
          }),
        ]),
      }),
      // By the format's own words whatever keeps software apart by virtualisation.
      component: new Models.Component(Enums.ComponentType.Container, data.name, {
        bomRef: 'image',
        version: data.version,
        description: data.description,
        hashes: new Models.HashDictionary([
          [Enums.HashAlgorithm['SHA-1'], data.sha1],
          [Enums.HashAlgorithm['SHA-256'], data.sha256],
        ]),
      }),
    }),
    components: new Models.ComponentRepository([
      // Where scanners look for what the packages are packages of.
      new Models.Component(Enums.ComponentType.OperatingSystem, system.id, {
        bomRef: 'system',
        version: system.version,
      }),
      ...data.list.packages.map(component),
    ]),
  })
  const normalize = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6)
  const text = new Serialize.JsonSerializer(normalize).serialize(bom, {
    sortLists: true,
    space: 2,
  })
  return `${text}\n`
}
