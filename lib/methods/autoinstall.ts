/**
 * A strict reader of Ubuntu's answers (autoinstall): what the installer would stop at, or worse, ignore,
 * shows here in seconds. It knows the keys that this project's own answers use, and calls everything
 * else a problem, as older installers pass over keys that they don't know.
 * Sources: the autoinstall reference manual of Subiquity,
 * https://canonical-subiquity.readthedocs-hosted.com/en/latest/reference/autoinstall-reference.html, and
 * curtin's storage documentation, https://curtin.readthedocs.io/en/latest/topics/storage.html
 */
import { parse } from 'yaml'
import { isNestedTooDeep } from '../cli/nesting.ts'

type Rule = 'text' | 'flag' | 'number' | 'list' | 'commands' | Rules
type Rules = { readonly [key: string]: Rule }

const RULES: Rules = {
  version: 'number',
  'refresh-installer': { update: 'flag' },
  locale: 'text',
  keyboard: { layout: 'text' },
  timezone: 'text',
  'early-commands': 'commands',
  'late-commands': 'commands',
  'error-commands': 'commands',
  proxy: 'text',
  apt: {
    geoip: 'flag',
    preserve_sources_list: 'flag',
    fallback: 'text',
    primary: 'list',
    security: 'list',
  },
  'user-data': { users: 'list', disable_root: 'flag' },
  ssh: { 'install-server': 'flag', 'allow-pw': 'flag' },
  source: { id: 'text', search_drivers: 'flag' },
  kernel: { package: 'text' },
  packages: 'list',
  updates: 'text',
  shutdown: 'text',
  storage: { swap: { size: 'number' }, config: 'list' },
}

/** Without these it asks, or leaves something behind that nobody can use. */
const NEEDED = [
  'version',
  'locale',
  'keyboard',
  'storage',
  'user-data',
  'late-commands',
  'shutdown',
]

/** Keys of storage actions beside type and id; those in `refers` name other actions. */
const ACTIONS: Record<string, { keys: readonly string[]; refers: readonly string[] }> = {
  disk: { keys: ['path', 'ptable', 'wipe', 'grub_device'], refers: [] },
  partition: { keys: ['number', 'size', 'flag'], refers: ['device'] },
  lvm_volgroup: { keys: ['name'], refers: ['devices'] },
  lvm_partition: { keys: ['name', 'size'], refers: ['volgroup'] },
  format: { keys: ['fstype'], refers: ['volume'] },
  mount: { keys: ['path', 'options'], refers: ['device'] },
}

type Action = { type?: string; id?: string; [key: string]: unknown }

/** What is wrong with the answers, a line each. */
export function autoinstallProblems(text: string): string[] {
  if (!text.startsWith('#cloud-config\n')) return ['the first line is not #cloud-config']
  if (isNestedTooDeep(text)) return ['not YAML: it is nested too deep']
  let document: unknown
  try {
    document = parse(text, { logLevel: 'error' })
  } catch (error) {
    return [`not YAML: ${(error as Error).message.split('\n')[0]}`]
  }
  const { autoinstall: answers, ...others } = isMapping(document) ? document : {}
  const stray = Object.keys(others).map((key) => `unknown key ${key} beside autoinstall`)
  if (!isMapping(answers)) return [...stray, 'autoinstall is missing']
  const storage = answers['storage'] as { config?: unknown } | null | undefined
  return [
    ...stray,
    ...NEEDED.filter((key) => answers[key] === undefined).map((key) => `${key} is missing`),
    ...checkRules(answers, RULES, ''),
    ...(Array.isArray(storage?.config) ? checkStorage(storage.config as unknown[]) : []),
  ]
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** YAML has values that contain themselves. */
function shown(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return 'a value without an end'
  }
}

function checkRules(value: Record<string, unknown>, rules: Rules, where: string): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    const name = `${where}${key}`
    if (rule === undefined) return [`unknown key ${name}`]
    if (typeof rule === 'object') {
      if (!isMapping(inner)) return [`${name} is no mapping`]
      return checkRules(inner, rule, `${name}.`)
    }
    return fits(inner, rule) ? [] : [`${name} is no ${rule}: ${shown(inner)}`]
  })
}

function fits(value: unknown, rule: Exclude<Rule, Rules>): boolean {
  if (rule === 'flag') return typeof value === 'boolean'
  if (rule === 'number') return typeof value === 'number'
  if (rule === 'text') return typeof value === 'string' && value !== ''
  if (!Array.isArray(value)) return false
  return rule === 'list' || value.every((command) => typeof command === 'string')
}

const isAction = (value: unknown): value is Action =>
  isMapping(value) && typeof value['type'] === 'string' && typeof value['id'] === 'string'

/** Every action known, every reference to one that stands before it, and what boots from BIOS and UEFI. */
function checkStorage(listed: readonly unknown[]): string[] {
  const actions = listed.filter(isAction)
  const problems =
    actions.length < listed.length ? ['storage: not all actions have a type and id'] : []
  const known = new Set<string>()
  for (const { type = '', id = '', ...rest } of actions) {
    const rule = Object.hasOwn(ACTIONS, type) ? ACTIONS[type] : undefined
    if (!rule) problems.push(`storage: unknown type ${type}`)
    if (id === '' || known.has(id)) problems.push(`storage: id "${id}" of a ${type} is not its own`)
    for (const key of Object.keys(rest)) {
      if (rule && !rule.keys.includes(key) && !rule.refers.includes(key)) {
        problems.push(`storage: ${type} ${id} has the unknown key ${key}`)
      }
    }
    for (const key of rule?.refers ?? []) {
      for (const other of [rest[key]].flat()) {
        if (typeof other !== 'string' || !known.has(other)) {
          problems.push(
            `storage: ${key} of ${type} ${id} is ${typeof other === 'string' ? other : shown(other)}, which is not there`,
          )
        }
      }
    }
    known.add(id)
  }
  const has = (wanted: Action) =>
    actions.some((action) => Object.entries(wanted).every(([key, value]) => action[key] === value))
  for (const [what, wanted] of [
    ['GPT', { type: 'disk', ptable: 'gpt', grub_device: true }],
    ['BIOS boot partition', { type: 'partition', flag: 'bios_grub' }],
    ['EFI system partition', { type: 'partition', flag: 'boot' }],
    ['file system on /boot/efi', { type: 'mount', path: '/boot/efi' }],
    ['root file system', { type: 'mount', path: '/' }],
  ] as const) {
    if (!has(wanted)) problems.push(`storage: no ${what}`)
  }
  return problems
}
