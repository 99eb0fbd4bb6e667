/**
 * A zone's configuration, as `zonecfg -z ZONE export` prints it, and commands that add to it.
 * Source: zonecfg(8).
 */

export type ZoneResource = { kind: string; properties: Readonly<Record<string, string>> }

export type ZoneConfig = {
  /** Global properties: `limitpriv`, `fs-allowed`, ... */
  properties: Readonly<Record<string, string>>
  resources: readonly ZoneResource[]
}

/** Read what `export` prints. Values lose their quotes; options of a file system are `options`. */
export function readZoneConfig(text: string): ZoneConfig {
  const properties: Record<string, string> = {}
  const resources: ZoneResource[] = []
  let open: { kind: string; properties: Record<string, string> } | undefined
  for (const line of text.split('\n').map((one) => one.trim())) {
    const [, set, value] = /^(?:set|add) ([\w-]+)(?:=| +)"?(.*?)"?$/.exec(line) ?? []
    if (line === 'end') open = undefined
    else if (set !== undefined) (open?.properties ?? properties)[set] = value!
    else if (line.startsWith('add ')) {
      open = { kind: line.slice(4), properties: {} }
      resources.push(open)
    }
  }
  return { properties, resources }
}

/** Whether a resource of this kind with these properties is there. */
export function hasResource(config: ZoneConfig, { kind, properties }: ZoneResource): boolean {
  return config.resources.some(
    (one) =>
      one.kind === kind &&
      Object.entries(properties).every(([name, value]) => one.properties[name] === value),
  )
}

/** The commands that add a resource. */
export function addResource({ kind, properties }: ZoneResource): string {
  const sets = Object.entries(properties).map(([name, value]) =>
    name === 'options' ? `add options ${value}` : `set ${name}=${value}`,
  )
  return [`add ${kind}`, ...sets, 'end'].join('; ')
}

/** A list property with these words in it, or undefined when they are there already. */
export function withWords(present: string | undefined, words: readonly string[], first?: string) {
  const has = present ? present.split(',') : first === undefined ? [] : [first]
  const missing = words.filter((word) => !has.includes(word))
  return missing.length === 0 ? undefined : [...has, ...missing].join(',')
}
