/**
 * What a hybrid image's manifest has to be: a rule per field, stricter than Triton's own validator,
 * which lets a sha1 of "zz", an image_size of 0 or a 99th month pass.
 *
 * Sources: sdc-imgapi, docs/index.md, "Image Manifests"; node-imgmanifest 3.2, lib/imgmanifest.js.
 */

type Rule = {
  /** Completes the sentence "<field> must be ...". */
  must: string
  holds: (value: unknown) => boolean
  optional?: true
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

const rule = (must: string, holds: Rule['holds']): Rule => ({ must, holds })
const optional = (one: Rule): Rule => ({ ...one, optional: true })
const is = (wanted: unknown) => rule(JSON.stringify(wanted), (value) => value === wanted)
const text = (pattern: RegExp, longest: number, must: string) =>
  rule(
    `${must}, at most ${longest} characters`,
    (value) => typeof value === 'string' && value.length <= longest && pattern.test(value),
  )
const uuid = rule('a lower-case UUID', (value) => typeof value === 'string' && UUID.test(value))
const integer = (must: string, from: number, to = Number.MAX_SAFE_INTEGER) =>
  rule(must, (value) => Number.isSafeInteger(value) && from <= Number(value) && Number(value) <= to)
const boolean = rule('true or false', (value) => typeof value === 'boolean')

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `2026-05-08T00:00:00Z` or with milliseconds, and a time that exists. */
function isTime(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value)) {
    return false
  }
  const time = new Date(value)
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 19) === value.slice(0, 19)
}

/** A platform stamp as it stands in min_platform. */
function isStamp(value: unknown): boolean {
  const parts = typeof value === 'string' && /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(value)
  if (!parts) return false
  const [, year, month, day, hours, minutes, seconds] = parts
  return Number(year) >= 2012 && isTime(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`)
}

/** Exactly these keys, each by its rule. */
function shape(rules: Record<string, Rule>): Rule['holds'] {
  return (value) => isObject(value) && problemsOf(value, rules, '').length === 0
}

const platforms = rule(
  'an object of release to stamp, as {"7.0":"20260101T000000Z"}',
  (value) =>
    isObject(value) &&
    Object.keys(value).length > 0 &&
    Object.entries(value).every(([release, stamp]) => /^\d+\.\d+$/.test(release) && isStamp(stamp)),
)

const requirements: Record<string, Rule> = {
  networks: optional(
    rule(
      'a list of {name, description}',
      (value) =>
        Array.isArray(value) &&
        value.every(shape({ name: text(/./, 64, 'a name'), description: text(/./, 512, 'text') })),
    ),
  ),
  ssh_key: optional(boolean),
  min_ram: optional(integer('MiB above 0', 1)),
  max_ram: optional(integer('MiB above 0', 1)),
  min_platform: optional(platforms),
  max_platform: optional(platforms),
  // brand and bootrom are not here: with either an image is hybrid no longer
}

const oneOf = (...words: string[]): Rule =>
  rule(`${words.slice(0, -1).join(', ')} or ${words.at(-1)}`, (value) =>
    words.includes(value as string),
  )

const file: Record<string, Rule> = {
  sha1: rule(
    '40 lower-case hexadecimal digits',
    (value) => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value),
  ),
  size: integer('a number of bytes above 0', 1),
  compression: is('gzip'),
  dataset_guid: rule(
    'a decimal number above 0, of 64 bits, as text',
    (value) =>
      typeof value === 'string' && /^[1-9]\d{0,19}$/.test(value) && BigInt(value) < 1n << 64n,
  ),
}

/** Every field that our manifests have; anything else is a fault. */
const fields: Record<string, Rule> = {
  v: is(2),
  uuid,
  owner: uuid,
  name: text(/^[A-Za-z0-9._/ -]+$/, 512, 'letters, digits, blanks and ._/-'),
  version: text(/^[A-Za-z0-9._/+-]+$/, 128, 'letters, digits and ._/+-'),
  state: is('active'),
  disabled: is(false),
  public: is(true),
  published_at: rule('a UTC time, as 2026-05-08T00:00:00Z', isTime),
  type: is('zvol'),
  os: oneOf('smartos', 'linux', 'windows', 'bsd', 'illumos', 'other'),
  description: text(/./s, 512, 'text'),
  homepage: text(/^https?:\/\/[^\s/]+/, 128, 'an http or https address'),
  nic_driver: oneOf('virtio', 'e1000'),
  disk_driver: oneOf('virtio', 'ide'),
  cpu_type: text(/^\w+$/, 64, 'a word'),
  image_size: integer('a whole number of MiB above 0', 1),
  users: optional(
    rule(
      'a list of {name}',
      (value) =>
        Array.isArray(value) && value.every(shape({ name: text(/^[\w-]+$/, 32, 'a name') })),
    ),
  ),
  tags: optional(
    rule(
      'an object of texts, numbers and booleans',
      (value) =>
        isObject(value) &&
        Object.values(value).every((tag) => ['string', 'number', 'boolean'].includes(typeof tag)),
    ),
  ),
}

/** A value in a message. */
function shown(value: unknown): string {
  try {
    return JSON.stringify(value).slice(0, 80)
  } catch {
    return 'more levels than can be shown'
  }
}

function problemsOf(
  value: Record<string, unknown>,
  rules: Record<string, Rule>,
  prefix: string,
): string[] {
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(rules, key))
  return [
    ...unknown.map((key) => `${prefix}${key}: no such field is allowed here`),
    ...Object.entries(rules).flatMap(([key, { must, holds, optional }]) => {
      const found = value[key]
      if (found === undefined) return optional ? [] : [`${prefix}${key}: is missing`]
      if (holds(found)) return []
      return [`${prefix}${key}: must be ${must} (found ${shown(found)})`]
    }),
  ]
}

/** Everything that is wrong with a manifest of ours, a line per problem: `field: what`. */
export function strictProblems(manifest: unknown): string[] {
  if (!isObject(manifest)) return ['manifest: must be an object']
  const { files, requirements: required, ...rest } = manifest
  const problems = problemsOf(rest, fields, '')
  // Old platforms have no other drivers; what we install has, and under bhyve there are no others.
  for (const driver of ['nic_driver', 'disk_driver']) {
    if (rest['os'] !== 'smartos' && rest[driver] !== undefined && rest[driver] !== 'virtio') {
      problems.push(`${driver}: must be virtio (found ${shown(rest[driver])})`)
    }
  }
  if (!Array.isArray(files) || files.length !== 1 || !isObject(files[0])) {
    problems.push('files: must be a list of one file')
  } else problems.push(...problemsOf(files[0], file, 'files[0].'))
  if (required === undefined) return problems
  if (!isObject(required)) return [...problems, 'requirements: must be an object']
  problems.push(...problemsOf(required, requirements, 'requirements.'))
  const { min_ram: least, max_ram: most } = required
  if (typeof least === 'number' && typeof most === 'number' && least > most) {
    problems.push(`requirements.min_ram: must be at most max_ram (found ${least} and ${most})`)
  }
  return problems
}
