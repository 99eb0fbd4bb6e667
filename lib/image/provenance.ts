/**
 * Provenance of an image: an in-toto Statement, version 1, with the predicate of SLSA's provenance, version 1.
 * It says which bytes were made of what, by what and how. Nobody signs it here: whoever publishes an image
 * signs what they vouch for.
 *
 * Sources: in-toto/attestation, spec/v1/statement.md and resource_descriptor.md; slsa.dev/spec/v1.0/provenance.
 */
import type { OptionTable } from '../cli/options.ts'
import { UsageError } from '../cli/errors.ts'
import { redact } from '../cli/redact.ts'
import type { ImageFile } from './image-file.ts'
import type { Material } from './materials.ts'
import { snapshotOf } from './materials.ts'
import type { Recipe } from './recipe.ts'

export const STATEMENT = 'https://in-toto.io/Statement/v1'
export const PREDICATE = 'https://slsa.dev/provenance/v1'
/** README.md, "Where an image came from", says what its parameters are. */
export const BUILD_TYPE = 'urn:hybrid-images:create-image:1'

/** A URI, which need not lead anywhere. @throws {UsageError} otherwise */
function parseUri(text: string): string {
  if (URL.canParse(text)) return text
  throw new UsageError(
    `Cannot read builder "${text}": it has to be a URI, as in https://ci.example.com/`,
  )
}

export const builderOption = {
  builder: {
    arg: 'URI',
    parse: parseUri,
    default: 'urn:hybrid-images:builder:local',
    env: ['HYBRID_IMAGES_BUILDER'],
    help: 'who builds, as the provenance names it',
  },
} as const satisfies OptionTable

export type ProvenanceData = {
  recipe: Recipe
  /** Lower-case word: `debian`. */
  distro: string
  seed: string
  image: ImageFile
  /** Name of the file as it is shipped. */
  imageName: string
  materials: readonly Material[]
  /** What else the build has made. */
  byproducts: readonly Material[]
  /** By program, this project's own among them. */
  versions: Readonly<Record<string, string>>
  /** Left out where the time of the build is given from outside, for the same bytes. */
  finishedAt: Date | undefined
}

const rfc3339 = (at: Date) => at.toISOString().replace(/\.\d+/, '')

/** What an operator decides, as it was resolved; nothing of this machine's paths. */
function externalParameters({ recipe, distro }: ProvenanceData) {
  const { release, mirrors, proxyEnv, variables, disk } = recipe
  const proxy = proxyEnv['http_proxy']
  return {
    distro,
    release: release.version,
    arch: recipe.arch,
    method: recipe.method,
    target: recipe.target,
    format: recipe.format,
    layout: recipe.layout,
    name: recipe.name,
    diskBytes: disk.bytes,
    kernel: recipe.kernel,
    packages: recipe.packages,
    mirrors: mirrors.map((mirror) => ({
      ...mirror,
      ...(mirror.main !== undefined &&
        snapshotOf(mirror.main) !== undefined && { snapshot: snapshotOf(mirror.main) }),
    })),
    ...(Object.keys(variables).length > 0 && { variables }),
    ...(proxy !== undefined && { proxy }),
  }
}

/** The text of the file, without names and passwords in addresses. */
export function provenanceText(data: ProvenanceData): string {
  const { recipe, image } = data
  const { at, text: stamp } = recipe.stamp
  const statement = {
    _type: STATEMENT,
    subject: [{ name: data.imageName, digest: { sha256: image.sha256, sha1: image.sha1 } }],
    predicateType: PREDICATE,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: externalParameters(data),
        internalParameters: { seed: data.seed, time: rfc3339(recipe.at), offline: recipe.offline },
        resolvedDependencies: data.materials,
      },
      runDetails: {
        builder: { id: recipe.builder, version: data.versions },
        metadata: {
          invocationId: stamp,
          startedOn: rfc3339(at),
          ...(data.finishedAt && { finishedOn: rfc3339(data.finishedAt) }),
        },
        byproducts: data.byproducts,
      },
    },
  }
  return `${redact(JSON.stringify(statement, undefined, 2))}\n`
}
