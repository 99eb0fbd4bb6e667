/** Rules of who could get in, and what every instance would share: passwords, keys, users, identities. */
import { accountsOf, homesOf, linesOf, ordinaryUsers } from './accounts.ts'
import type { SystemFiles } from './files.ts'
import type { Rules } from './rules.ts'

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

const isFilled = (files: SystemFiles, path: string) => {
  const stat = files.stat(path)
  return stat !== undefined && stat.kind !== 'directory' && stat.bytes > 0
}

/** A field of shadow(5) or passwd(5): why it is more than a lock, or undefined. */
function passwordIn(field: string): string | undefined {
  if (field === '') return 'has none: everybody gets in'
  if (field === 'x') return undefined // it is in the shadow file
  if (!/^[!*]/.test(field)) return 'can log in by it'
  // Words such as !locked match no password, and tell none; a hash has its method in front, or 13 letters.
  return /\$|^[!*]+[./0-9A-Za-z]{13}$/.test(field) ? 'is locked, but its hash is there' : undefined
}

function* passwords(files: SystemFiles): Generator<string> {
  for (const file of ['/etc/shadow', '/etc/shadow-', '/etc/gshadow', '/etc/gshadow-']) {
    for (const line of linesOf(files, file)) {
      const [name, field = ''] = line.split(':')
      // A group without a password is one that nobody may join.
      const why = file.includes('gshadow') && field === '' ? undefined : passwordIn(field)
      if (why !== undefined) yield `${file}: ${name} ${why}`
    }
  }
  const accounts = accountsOf(files)
  for (const { name, password } of accounts) {
    const why = passwordIn(password)
    if (why !== undefined) yield `/etc/passwd: ${name} ${why}`
  }
  if (accounts.length > 0 && !files.has('/etc/shadow')) {
    yield '/etc/shadow is not there: is root locked?'
  }
  // What packages and Debian's installer were told: of passwords, and of nothing else.
  const told = '/var/cache/debconf/passwords.dat'
  for (const [, name] of (files.text(told) ?? '').matchAll(
    /^Name: (\S+)$(?:\n(?!Value:)\S.*)*?\nValue: \S/gm,
  )) {
    yield `${told}: ${name}`
  }
}

function* authorizedKeys(files: SystemFiles): Generator<string> {
  const keys = (path: string) => linesOf(files, path).length
  for (const home of homesOf(files)) {
    for (const path of files.paths(`${home}/.ssh`)) {
      if (/\/authorized_keys[^/]*$/.test(path) && keys(path) > 0)
        yield `${path}: ${keys(path)} of them`
    }
  }
  for (const path of files.paths('/etc/ssh')) {
    if (!/\/authorized_keys/.test(path)) continue
    const inside = files.stat(path)?.kind === 'directory' ? files.paths(path) : [path]
    for (const file of inside) if (keys(file) > 0) yield `${file}: ${keys(file)} of them`
  }
}

/** Where services and users keep theirs. */
function* privateKeys(files: SystemFiles): Generator<string> {
  const directories = [
    ...homesOf(files).flatMap((home) => [`${home}/.ssh`, `${home}/.gnupg`]),
    ...['/etc/ssl', '/etc/pki', '/etc/ipsec.d', '/etc/openvpn', '/etc/letsencrypt'],
  ]
  for (const { path, stat } of directories.flatMap((directory) => [...files.walk(directory)])) {
    if (stat.kind === 'file' && PRIVATE_KEY.test(files.text(path) ?? '')) yield path
  }
  for (const path of files.paths('/etc/wireguard')) {
    if (/^\s*PrivateKey\s*=\s*\S/im.test(files.text(path) ?? '')) yield path
  }
  for (const home of homesOf(files)) {
    if (files.list(`${home}/.gnupg/private-keys-v1.d`).length > 0) yield `${home}/.gnupg`
  }
}

function* users(files: SystemFiles): Generator<string> {
  const people = ordinaryUsers(files)
  for (const { name, uid } of people) yield `/etc/passwd: ${name}, with uid ${uid}`
  const homes = accountsOf(files).map(({ home }) => home)
  for (const path of files.paths('/home')) {
    const known = homes.includes(path) || path.endsWith('/lost+found')
    if (!known && files.stat(path)?.kind === 'directory') yield `${path}: a home of nobody`
  }
}

function* machineId(files: SystemFiles): Generator<string> {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    if (files.link(path) !== undefined) continue
    const id = files.text(path)?.trim() ?? ''
    if (id !== '' && id !== 'uninitialized') yield path
  }
}

function* hostName(files: SystemFiles): Generator<string> {
  const own = (name: string) => !/^(localhost(\.localdomain)?|\(none\))?$/.test(name)
  const name = linesOf(files, '/etc/hostname')[0] ?? ''
  if (own(name)) yield `/etc/hostname: ${name}`
  for (const line of linesOf(files, '/etc/sysconfig/network')) {
    const said = /^HOSTNAME=(.*)$/.exec(line)?.[1] ?? ''
    if (own(said.replaceAll('"', ''))) yield `/etc/sysconfig/network: ${line}`
  }
}

function* randomSeed(files: SystemFiles): Generator<string> {
  const paths = [
    ...['/var/lib/systemd/random-seed', '/var/lib/systemd/credential.secret'],
    ...['/var/lib/random-seed', '/var/lib/urandom/random-seed', '/boot/efi/loader/random-seed'],
  ]
  for (const path of paths) if (isFilled(files, path)) yield path
}

function* leases(files: SystemFiles): Generator<string> {
  const directories = [
    ...['/var/lib/NetworkManager', '/var/lib/dhcp', '/var/lib/dhclient', '/var/lib/dhcpcd'],
    '/var/lib/dhcpcd5',
  ]
  for (const path of directories.flatMap((directory) => files.paths(directory))) {
    const kept = /(\.leases?6?|\/secret(_key)?|\/duid|\/seen-bssids|\/timestamps)$/.test(path)
    if (kept && isFilled(files, path)) yield path
  }
  if (isFilled(files, '/etc/dhcpcd.duid')) yield '/etc/dhcpcd.duid'
}

export const accessRules = {
  'machine-id': machineId,
  'host-name': hostName,
  'host-keys': (files) => files.paths('/etc/ssh').filter((path) => /\/ssh_host_/.test(path)),
  'private-keys': privateKeys,
  passwords,
  'authorized-keys': authorizedKeys,
  users,
  'random-seed': randomSeed,
  leases,
} as const satisfies Partial<Rules>
