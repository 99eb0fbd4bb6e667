/**
 * What the specifications demand of an in-toto Statement v1 with SLSA provenance v1, checked field by field.
 *
 * Sources: in-toto/attestation, spec/v1/statement.md, resource_descriptor.md, digest_set.md, field_types.md;
 * slsa.dev/spec/v1.0/provenance, "Schema" with the fields that are required for Build L1.
 */
type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isUri = (value: unknown) => isText(value) && URL.canParse(value)
const isTime = (value: unknown) =>
  isText(value) &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) &&
  !Number.isNaN(Date.parse(value))

/** Digits in hexadecimal, by algorithm. */
const DIGESTS: Record<string, readonly number[]> = {
  sha1: [40],
  sha256: [64],
  sha512: [128],
  gitCommit: [40, 64],
}

function descriptorProblems(value: unknown, at: string): string[] {
  if (!isObject(value)) return [`${at}: no object`]
  const problems: string[] = []
  const { name, uri, digest, content, downloadLocation, mediaType, annotations, ...rest } = value
  problems.push(...Object.keys(rest).map((key) => `${at}.${key}: no field of a ResourceDescriptor`))
  if (uri === undefined && digest === undefined && content === undefined) {
    problems.push(`${at}: has no uri, digest or content`)
  }
  if (name !== undefined && !isText(name)) problems.push(`${at}.name: no text`)
  for (const [key, one] of Object.entries({ uri, downloadLocation })) {
    if (one !== undefined && !isUri(one)) problems.push(`${at}.${key}: no URI`)
  }
  if (mediaType !== undefined && !(isText(mediaType) && /^[\w.+-]+\/[\w.+-]+$/.test(mediaType))) {
    problems.push(`${at}.mediaType: no media type`)
  }
  if (annotations !== undefined && !isObject(annotations))
    problems.push(`${at}.annotations: no map`)
  if (digest !== undefined) {
    if (!isObject(digest) || Object.keys(digest).length === 0) {
      return [...problems, `${at}.digest: no set of digests`]
    }
    for (const [algorithm, hex] of Object.entries(digest)) {
      const lengths = DIGESTS[algorithm]
      if (!lengths) problems.push(`${at}.digest: ${algorithm} is not known here`)
      else if (!isText(hex) || !/^[0-9a-f]+$/.test(hex) || !lengths.includes(hex.length)) {
        problems.push(`${at}.digest.${algorithm}: ${String(hex)}`)
      }
    }
  }
  return problems
}

const listProblems = (value: unknown, at: string): string[] => {
  if (value === undefined) return []
  if (!Array.isArray(value)) return [`${at}: no list`]
  return value.flatMap((one, i) => descriptorProblems(one, `${at}[${i}]`))
}

/** Everything that a statement has wrong, a line each. */
export function statementProblems(value: unknown): string[] {
  if (!isObject(value)) return ['no object']
  const problems: string[] = []
  const want = (holds: boolean, what: string) => {
    if (!holds) problems.push(what)
  }
  want(value['_type'] === 'https://in-toto.io/Statement/v1', '_type')
  want(value['predicateType'] === 'https://slsa.dev/provenance/v1', 'predicateType')
  const { subject, predicate } = value
  if (!Array.isArray(subject) || subject.length === 0) problems.push('subject: none')
  else {
    problems.push(...listProblems(subject, 'subject'))
    want(
      subject.every((one) => isObject(one) && isObject(one['digest'])),
      'subject: one has no digest',
    )
  }
  if (!isObject(predicate)) return [...problems, 'predicate: no object']
  const { buildDefinition, runDetails } = predicate
  if (!isObject(buildDefinition)) problems.push('buildDefinition: missing')
  else {
    want(isUri(buildDefinition['buildType']), 'buildDefinition.buildType: no URI')
    const { externalParameters: given, internalParameters: own } = buildDefinition
    want(isObject(given), 'buildDefinition.externalParameters: missing')
    want(own === undefined || isObject(own), 'buildDefinition.internalParameters: no object')
    const both =
      isObject(given) && isObject(own) ? Object.keys(given).filter((key) => key in own) : []
    problems.push(...both.map((key) => `${key}: is an external and an internal parameter`))
    problems.push(...listProblems(buildDefinition['resolvedDependencies'], 'resolvedDependencies'))
  }
  if (!isObject(runDetails)) return [...problems, 'runDetails: missing']
  const { builder, metadata } = runDetails
  problems.push(...listProblems(runDetails['byproducts'], 'byproducts'))
  if (!isObject(builder)) problems.push('runDetails.builder: missing')
  else {
    want(isUri(builder['id']), 'builder.id: no URI')
    const { version } = builder
    want(
      version === undefined || (isObject(version) && Object.values(version).every(isText)),
      'builder.version: no map of texts',
    )
  }
  if (metadata !== undefined) {
    if (!isObject(metadata)) return [...problems, 'runDetails.metadata: no object']
    for (const key of ['startedOn', 'finishedOn']) {
      want(metadata[key] === undefined || isTime(metadata[key]), `metadata.${key}: no time`)
    }
  }
  return problems
}
