/**
 * What no image may bring along, by the names that findings, `--allow-leftover` and the README have. Each
 * name has one rule (rules-*.ts), a pure function of the system's files.
 */
import { UsageError } from '../cli/errors.ts'
import { parseList } from '../cli/options.ts'

export const LEFTOVERS = {
  'machine-id': 'a machine-id: every instance would be the same machine',
  'host-name': 'the name of the build machine',
  'host-keys': 'SSH host keys',
  'private-keys': "private keys, of users or of the system's own services",
  passwords: 'passwords of accounts or groups, also of locked ones; root not locked',
  'authorized-keys': 'keys that let somebody log in',
  users: 'ordinary users, or home directories of nobody',
  resolver: 'name servers of the build machine',
  hosts: 'names of the build in /etc/hosts',
  proxies: 'proxies in the settings of the package manager, shells and services',
  mirrors: 'package sources that the build alone could reach, its --mirror among them',
  sources: "package sources on somebody else's servers than the vendor's",
  installer: "an installer's logs, answers and settings",
  nocloud: "an installer's ds=nocloud, in the boot menu or cloud-init's configuration",
  'cloud-init': 'what cloud-init knows of an instance, or is told by a seed',
  'random-seed': 'a random seed, or the secret that credentials are encrypted with',
  leases: 'addresses and secrets that network programs keep',
  caches: 'package files, lists and caches',
  history: "histories of shells and programs in users' homes",
  logs: 'logs',
  temporary: 'files in /tmp and /var/tmp',
  staging: 'what this project puts into a system while it builds',
  cores: 'core files and crash reports',
  'address-passwords': 'passwords of servers and networks, in addresses or in files of their own',
  unread:
    'a disk, or a part of one, whose files nobody can read here: encrypted, of an unknown file system, or mounted nobody knows where',
  secrets: "this build's own passwords, anywhere in the image, in files or in free space",
} as const satisfies Record<string, string>

export type LeftoverName = keyof typeof LEFTOVERS

export const LEFTOVER_NAMES = Object.keys(LEFTOVERS) as LeftoverName[]

/** `authorized-keys,users`. @throws {UsageError} for a name that is none */
export function parseLeftovers(text: string): LeftoverName[] {
  const names = parseList(text)
  const wrong = names.find((name) => !LEFTOVER_NAMES.includes(name as LeftoverName))
  if (wrong === undefined) return names as LeftoverName[]
  throw new UsageError(`Cannot allow leftover "${wrong}": known are ${LEFTOVER_NAMES.join(', ')}`)
}

/** What was found; the evidence has no secret in it. */
export type Finding = { name: LeftoverName; evidence: string }

export const describeFinding = ({ name, evidence }: Finding) => `${name}: ${evidence}`

/** What a rule is told beside the files. */
export type Origin = {
  /** Domains of whoever publishes the system (`debian.org`); undefined: nobody knows, all are good. */
  vendorDomains: readonly string[] | undefined
  /** Host names of the operator's own mirrors. */
  buildHosts: readonly string[]
}
