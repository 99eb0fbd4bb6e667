/** Rules of the network: where names, packages and proxies come from. */
import { homesOf, linesOf } from './accounts.ts'
import type { SystemFiles } from './files.ts'
import type { Origin } from './leftovers.ts'
import type { Rules } from './rules.ts'

/** systemd-resolved's own. */
const LOCAL_RESOLVERS = /^nameserver\s+127\.0\.0\.5[34]$/

function* resolver(files: SystemFiles): Generator<string> {
  const path = '/etc/resolv.conf'
  // A link leads to what a service makes anew; where it leads to a file of the image, that is read.
  for (const line of linesOf(files, path, /^[#;]/)) {
    const own = /^(nameserver|search|domain)\s+\S/.test(line) && !/^search\s+\.$/.test(line)
    if (own && !LOCAL_RESOLVERS.test(line)) yield `${path}: ${line}`
  }
}

function* hosts(files: SystemFiles): Generator<string> {
  for (const line of linesOf(files, '/etc/hosts')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const local = /^(127\.0\.0\.1|::1|fe00::.*|ff0[0-2]::.*)$/.test(address)
    const known = names.every((name) => /^(localhost|ip6-)[\w.-]*$/.test(name))
    if (!local || !known) yield `/etc/hosts: ${line}`
  }
}

/** Files of settings in directories, those that are there. */
const filesIn = (files: SystemFiles, directories: readonly string[]) =>
  directories.flatMap((directory) => files.paths(directory))

const PROXY =
  /\b(https?|ftp|all|socks)_proxy\s*[=\s]\s*["']?\w|Acquire::[\w:.-]*proxy\b(?!.*"(DIRECT|false)")/i
const YUM_PROXY = /^\s*proxy\s*=\s*(?!_none_\s*$)\S/i

function* proxies(files: SystemFiles): Generator<string> {
  const shells = [
    ...['/etc/environment', '/etc/profile', '/etc/bashrc', '/etc/bash.bashrc', '/etc/csh.cshrc'],
    ...[
      '/etc/wgetrc',
      '/etc/curlrc',
      '/etc/sudoers',
      '/etc/apt/apt.conf',
      '/etc/systemd/system.conf',
    ],
    ...['/etc/systemd/user.conf', '/etc/default/docker', '/etc/login.defs'],
    ...filesIn(files, ['/etc/environment.d', '/etc/profile.d', '/etc/apt/apt.conf.d']),
    ...filesIn(files, ['/etc/systemd/system.conf.d', '/etc/systemd/user.conf.d', '/etc/sudoers.d']),
    ...filesIn(files, ['/etc/systemd/system']).flatMap((path) => [path, ...files.paths(path)]),
    ...homesOf(files).flatMap((home) =>
      ['.profile', '.bashrc', '.bash_profile', '.curlrc', '.wgetrc'].map(
        (name) => `${home}/${name}`,
      ),
    ),
  ]
  for (const path of shells) {
    if (linesOf(files, path, /^\s*(#|\/\/|;)/).some((line) => PROXY.test(line))) yield path
  }
  // In its other form the name stands alone, in braces.
  for (const path of ['/etc/apt/apt.conf', ...files.paths('/etc/apt/apt.conf.d')]) {
    const text = linesOf(files, path, /^\s*(#|\/\/)/).join('\n')
    if (/[{;\s]Proxy\s+"(?!(DIRECT|false)?")/i.test(text)) yield path
  }
  const managers = ['/etc/yum.conf', '/etc/dnf/dnf.conf', ...filesIn(files, ['/etc/yum.repos.d'])]
  for (const path of managers) {
    if (linesOf(files, path).some((line) => YUM_PROXY.test(line))) yield path
  }
  // What Debian's installer was told stays among the answers of its packages.
  for (const path of ['/var/cache/debconf/config.dat', '/var/cache/debconf/passwords.dat']) {
    for (const [, name] of (files.text(path) ?? '').matchAll(
      /^Name: (mirror\/\w+\/proxy)$(?:\n\S.*)*?\nValue: \S/gm,
    )) {
      yield `${path}: ${name}`
    }
  }
}

/** Addresses of package sources, by file; local ones as they stand there. */
function* sourcesOf(files: SystemFiles): Generator<{ path: string; address: string }> {
  const apt = ['/etc/apt/sources.list', ...files.paths('/etc/apt/sources.list.d')]
  for (const path of apt.filter((one) => /\.(list|sources)$/.test(one))) {
    for (const line of linesOf(files, path)) {
      if (!/^(deb|deb-src|URIs:)\s/.test(line)) continue
      for (const [address] of line.matchAll(/\b(?:[a-z+]+:\/{1,3}|cdrom:|file:|copy:)\S*/g)) {
        yield { path, address }
      }
    }
  }
  for (const path of files.paths('/etc/yum.repos.d').filter((one) => one.endsWith('.repo'))) {
    for (const line of linesOf(files, path)) {
      const [, addresses] = /^(?:baseurl|mirrorlist|metalink)\s*=\s*(.*)$/.exec(line) ?? []
      for (const address of addresses?.split(/[\s,]+/).filter(Boolean) ?? [])
        yield { path, address }
    }
  }
}

const hostOf = (address: string) =>
  /^[a-z+]+:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^/:]*)/i.exec(address)?.[1]?.toLowerCase() ?? ''
/** The name has a variable in it, as Oracle's have: which of its servers it is, the instance decides. */
const isVariable = (host: string) => host.includes('$')

const isOf = (host: string, domains: readonly string[]) =>
  domains.some((one) => host === one || host.endsWith(`.${one}`))

/** An address that only the build could reach. */
function isPrivate(address: string, host: string): boolean {
  return (
    /^(cdrom|file|copy):/.test(address) ||
    /^(localhost|127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(host) ||
    !host.includes('.') ||
    /^[a-z+]+:\/\/[^/]*:\d+(\/|$)/.test(address)
  )
}

/** No secret goes into the evidence. */
const shown = (address: string) => address.replace(/\/\/[^/]*@/, '//***@')

const sources = (ofBuild: boolean) =>
  function* (files: SystemFiles, { vendorDomains, buildHosts }: Origin): Generator<string> {
    for (const { path, address } of sourcesOf(files)) {
      const host = hostOf(address)
      if (isVariable(host)) continue
      const hidden = isPrivate(address, host)
      const vendors = !hidden && vendorDomains !== undefined && isOf(host, vendorDomains)
      const builds = hidden || (!vendors && buildHosts.includes(host))
      const others = !builds && !vendors && vendorDomains !== undefined
      if (ofBuild ? builds : others) yield `${path}: ${shown(address)}`
    }
  }

/** Passwords in documentation and in examples are none. */
const EXAMPLE = /^(password|passwd|pass|secret|pw|xxx+|\*+|\$\{?\w+\}?|<.*>|\[.*\])$/i
const WITH_PASSWORD = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@'"<>]*:([^\s/@'"<>]+)@[\w.[]/gi

/** Files that have passwords of servers and networks in them, and how they look there. */
const CREDENTIALS: { directory: string; file: RegExp; password: RegExp }[] = [
  { directory: '/etc/apt', file: /\/auth\.conf$/, password: /\bpassword\s+\S/ },
  { directory: '/etc/apt/auth.conf.d', file: /\.conf$/, password: /\bpassword\s+\S/ },
  {
    directory: '/etc/yum.repos.d',
    file: /\.repo$/,
    password: /^\s*(proxy_)?password\s*=\s*\S/im,
  },
  {
    directory: '/etc/NetworkManager/system-connections',
    file: /./,
    password: /^(psk|password|wep-key\d|.*-password)=\S/im,
  },
]
/** Likewise, in homes. */
const OF_USERS: [string, RegExp][] = [
  ['.netrc', /\bpassword\s+\S/],
  ['.git-credentials', /:\/\/\S+:\S+@/],
  ['.pgpass', /^[^#\s]\S*:\S+$/m],
  ['.my.cnf', /^\s*password\s*=\s*\S/im],
  ['.docker/config.json', /"auth"\s*:\s*"[^"]/],
  ['.aws/credentials', /^\s*aws_secret_access_key\s*=\s*\S/im],
]

function* credentials(files: SystemFiles): Generator<string> {
  for (const { directory, file, password } of CREDENTIALS) {
    for (const path of files.paths(directory).filter((one) => file.test(one))) {
      if (password.test(linesOf(files, path).join('\n'))) yield path
    }
  }
  for (const home of homesOf(files)) {
    for (const [name, password] of OF_USERS) {
      const path = `${home}/${name}`
      if (password.test(linesOf(files, path).join('\n'))) yield path
    }
  }
}

function* addressPasswords(files: SystemFiles): Generator<string> {
  yield* credentials(files)
  const tops = [
    '/etc',
    '/root',
    '/home',
    '/opt',
    '/srv',
    '/usr/local/etc',
    '/boot/grub',
    '/boot/grub2',
  ]
  for (const top of tops) {
    for (const { path, stat } of files.walk(top)) {
      if (stat.kind !== 'file' || /^\/etc\/\.git\//.test(path)) continue
      for (const line of linesOf(files, path, /^\s*(#|;|\/\/)/)) {
        const found = [...line.matchAll(WITH_PASSWORD)].filter(([, said]) => !EXAMPLE.test(said!))
        if (found.length > 0) yield `${path}: ${shown(found[0]![0])}...`
      }
    }
  }
}

export const sourceRules = {
  resolver,
  hosts,
  proxies,
  mirrors: sources(true),
  sources: sources(false),
  'address-passwords': addressPasswords,
} as const satisfies Partial<Rules>
