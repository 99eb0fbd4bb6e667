/** A small system without any leftover, and each leftover as it would be in one: for every reader and rule. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Node, Volume } from '../../lib/hygiene/files.ts'
import { SystemFiles } from '../../lib/hygiene/files.ts'
import type { LeftoverName, Origin } from '../../lib/hygiene/leftovers.ts'

/** Path to content; a link's begins with `-> `, a directory's path ends in a slash. */
export type Tree = Readonly<Record<string, string>>

export const origin: Origin = {
  vendorDomains: ['debian.org', 'rockylinux.org'],
  buildHosts: ['mirror.example.com'],
}

const PASSWD = 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/sbin/nologin\n'
const SHADOW = 'root:*:19000:0:99999:7:::\ndaemon:!*:19000::::::\nsshd:!!:19000::::::\nx:!:::::::\n'

export const clean: Tree = {
  '/etc/machine-id': '',
  '/etc/passwd': PASSWD,
  '/etc/shadow': SHADOW,
  '/etc/gshadow': 'root:*::\nadm:!::\nusers:::\n',
  '/etc/hosts': '127.0.0.1 localhost localhost.localdomain # loopback\n::1 ip6-localhost\n',
  '/etc/resolv.conf': '-> ../run/systemd/resolve/stub-resolv.conf',
  '/etc/wgetrc': '#https_proxy = http://proxy.example.com:18023/\n',
  '/etc/apt/apt.conf.d/01':
    '// Acquire::http::Proxy "http://user:word@host";\nAcquire::Retries "3";\n',
  '/etc/apt/sources.list':
    'deb http://ftp.debian.org/debian bookworm main\n# deb cdrom:[x]/ y main\n',
  '/etc/yum.repos.d/a.repo':
    'mirrorlist=https://mirrors.rockylinux.org/m\nbaseurl=http://yum$region.$zone/\n',
  '/var/cache/debconf/passwords.dat':
    'Name: passwd/root-password\nTemplate: passwd/root-password\nValue: \nOwners: d-i\n\n' +
    'Name: passwd/user-password\nTemplate: passwd/user-password\nOwners: d-i\n',
  '/etc/apt/apt.conf.d/02':
    'Acquire {\n  // Proxy "http://p:1";\n  http { Proxy "DIRECT"; };\n};\n',
  '/etc/ssl/certs/ca.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n',
  '/etc/cloud/cloud.cfg.d/90.cfg': '# ds=nocloud\ndatasource_list: [SmartOS]\n',
  '/etc/ssh/sshd_config': 'UsePAM yes\n',
  '/root/.bashrc': 'alias ll="ls -l"\n',
  '/usr/bin/': '',
  '/home/': '',
  '/tmp/': '',
  '/var/tmp/': '',
  '/var/log/lastlog': '',
  '/var/lib/apt/lists/lock': '',
  '/var/lib/cloud/': '',
  '/boot/grub/grub.cfg': 'linux /vmlinuz root=UUID=x ro console=ttyS0\n',
}

export type Plant = { name: LeftoverName; tree: Tree; shows: RegExp }

const one = (name: LeftoverName, path: string, content: string, shows?: RegExp): Plant => ({
  name,
  tree: { [path]: content },
  shows: shows ?? new RegExp(`^${path.replaceAll(/[.+]/g, '\\$&')}(: |$)`),
})

const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n'

/** Each has exactly one finding, of its name. */
export const plants: readonly Plant[] = [
  one('machine-id', '/etc/machine-id', '0123456789abcdef0123456789abcdef\n'),
  one('machine-id', '/var/lib/dbus/machine-id', '0123456789abcdef0123456789abcdef\n'),
  one('host-name', '/etc/hostname', 'build-17\n'),
  one('host-name', '/etc/sysconfig/network', 'NETWORKING=yes\nHOSTNAME=build-17\n'),
  one('host-keys', '/etc/ssh/ssh_host_ed25519_key', 'x'),
  one('private-keys', '/root/.ssh/id_ed25519', KEY),
  one('private-keys', '/etc/ssl/private/server.key', KEY),
  one(
    'passwords',
    '/etc/shadow',
    SHADOW.replace('root:*', 'root:$y$j9T$abc$def'),
    /root can log in/,
  ),
  one('passwords', '/etc/shadow', SHADOW.replace('root:*', 'root:'), /root has none/),
  one(
    'passwords',
    '/etc/shadow',
    SHADOW.replace('sshd:!!', 'sshd:!$6$abc$def'),
    /sshd is locked, but/,
  ),
  one('passwords', '/etc/shadow-', 'root:$6$a$b:1::::::\n', /^\/etc\/shadow-: root can/),
  one(
    'passwords',
    '/etc/passwd',
    PASSWD.replace('root:x', 'root:'),
    /^\/etc\/passwd: root has none/,
  ),
  one('passwords', '/etc/gshadow', 'adm:$6$a$b::\n', /adm can log in by it/),
  one('authorized-keys', '/root/.ssh/authorized_keys', '# of ops\nssh-ed25519 AAAA ops\n'),
  one('authorized-keys', '/etc/ssh/authorized_keys.d/root', 'ssh-ed25519 AAAA ops\n'),
  one(
    'users',
    '/etc/passwd',
    `${PASSWD}packer:x:1000:1000::/home/packer:/bin/sh\n`,
    /packer, with uid 1000/,
  ),
  one('users', '/home/builder/.profile', 'x', /^\/home\/builder: a home of nobody$/),
  one(
    'resolver',
    '/etc/resolv.conf',
    'nameserver 10.0.2.3\noptions edns0\n',
    /: nameserver 10\.0\.2\.3$/,
  ),
  one(
    'resolver',
    '/etc/resolv.conf',
    'search corp.example.com\nnameserver 127.0.0.53\n',
    /: search corp/,
  ),
  one(
    'hosts',
    '/etc/hosts',
    '127.0.0.1 localhost\n127.0.1.1 build-17\n',
    /: 127\.0\.1\.1 build-17$/,
  ),
  one('proxies', '/etc/apt/apt.conf.d/99proxy', 'Acquire::http::Proxy "http://proxy:3128";\n'),
  one(
    'proxies',
    '/etc/apt/apt.conf.d/99nested',
    'Acquire::https::proxy::example.com "http://p:1";\n',
  ),
  one('proxies', '/etc/environment', 'https_proxy=http://proxy:3128\n'),
  one('proxies', '/etc/profile.d/p.sh', 'export HTTP_PROXY="http://proxy:3128"\n'),
  one('proxies', '/etc/dnf/dnf.conf', '[main]\nproxy = http://proxy:3128\n'),
  one('proxies', '/etc/yum.repos.d/b.repo', '[b]\nproxy=http://proxy:3128\n'),
  one(
    'proxies',
    '/etc/systemd/system/x.service.d/p.conf',
    '[Service]\nEnvironment=http_proxy=http://p:1\n',
  ),
  one(
    'proxies',
    '/var/cache/debconf/config.dat',
    'Name: mirror/http/proxy\nTemplate: mirror/http/proxy\nValue: http://proxy:3128/\nOwners: d-i\n',
    /: mirror\/http\/proxy$/,
  ),
  one(
    'mirrors',
    '/etc/apt/sources.list',
    'deb http://10.0.2.2:8080/debian bookworm main\n',
    /10\.0\.2\.2/,
  ),
  one(
    'mirrors',
    '/etc/apt/sources.list',
    'deb [trusted=yes] file:/srv/mirror bookworm main\n',
    /file:/,
  ),
  one('mirrors', '/etc/apt/sources.list', 'deb cdrom:[Debian]/ bookworm main\n', /cdrom:/),
  one(
    'mirrors',
    '/etc/yum.repos.d/b.repo',
    'baseurl=http://mirror.example.com/rocky\n',
    /mirror\.example/,
  ),
  one(
    'sources',
    '/etc/apt/sources.list.d/d.sources',
    'URIs: https://apt.example.org/\n',
    /apt\.example/,
  ),
  one('installer', '/root/anaconda-ks.cfg', 'rootpw x\n'),
  one('installer', '/etc/cloud/cloud.cfg.d/99-installer.cfg', 'x: 1\n'),
  one('nocloud', '/boot/grub/grub.cfg', 'linux /vmlinuz autoinstall ds=nocloud;s=/cdrom/ ro\n'),
  one('nocloud', '/etc/default/grub.d/50.cfg', 'GRUB_CMDLINE_LINUX="ds=nocloud"\n'),
  one(
    'nocloud',
    '/etc/cloud/cloud.cfg.d/91.cfg',
    'datasource:\n  NoCloud:\n    seedfrom: /cdrom/\n',
  ),
  one('cloud-init', '/var/lib/cloud/instance', '-> instances/hybrid-images-build'),
  one('cloud-init', '/var/lib/cloud/seed/nocloud/user-data', '#cloud-config\n'),
  one('random-seed', '/var/lib/systemd/random-seed', 'x'.repeat(32)),
  one('random-seed', '/var/lib/systemd/credential.secret', 'x'.repeat(32)),
  one('leases', '/var/lib/NetworkManager/secret_key', 'nm-v2:x'),
  one('leases', '/var/lib/dhcp/dhclient.eth0.leases', 'lease {}\n'),
  one('caches', '/var/cache/apt/archives/tree_1_amd64.deb', 'x'),
  one('caches', '/var/lib/apt/lists/ftp.debian.org_InRelease', 'x'),
  one('caches', '/var/cache/dnf/x/repodata/primary.xml', 'x'),
  one('history', '/root/.bash_history', 'passwd root\n'),
  one('logs', '/var/log/dpkg.log', 'installed\n'),
  one('temporary', '/tmp/notes', ''),
  one('temporary', '/var/tmp/dracut.x/initramfs', 'x', /^\/var\/tmp\/dracut\.x$/),
  one('staging', '/var/tmp/hybrid-images/set-up', 'x', /^\/var\/tmp\/hybrid-images$/),
  one('staging', '/etc/apt/apt.conf.d/99mmdebstrap', 'x'),
  one('cores', '/root/core.4711', 'x'),
  one('cores', '/var/lib/systemd/coredump/core.sh.zst', 'x'),
  one(
    'address-passwords',
    '/etc/app.conf',
    'from = https://ops:hunter22@example.com/\n',
    /app\.conf: https:\/\/\*\*\*@/,
  ),
  one('address-passwords', '/etc/apt/auth.conf', 'machine m login me password hunter22\n'),
  one('address-passwords', '/etc/apt/auth.conf.d/90.conf', 'machine m\nlogin me\npassword x\n'),
  one('address-passwords', '/root/.netrc', 'machine m login me password hunter22\n'),
  one('address-passwords', '/etc/yum.repos.d/b.repo', '[b]\nusername=me\npassword = hunter22\n'),
  one('address-passwords', '/root/.docker/config.json', '{"auths":{"r":{"auth": "bWU6eA=="}}}\n'),
  one('address-passwords', '/root/.aws/credentials', '[a]\naws_secret_access_key = x\n'),
  one(
    'address-passwords',
    '/etc/NetworkManager/system-connections/wifi.nmconnection',
    '[wifi-security]\npsk=hunter22\n',
  ),
  one(
    'proxies',
    '/etc/apt/apt.conf.d/80nested',
    'Acquire {\n  http {\n    Proxy "http://proxy:3128/";\n  };\n};\n',
  ),
  one(
    'passwords',
    '/var/cache/debconf/passwords.dat',
    'Name: passwd/root-password\nTemplate: passwd/root-password\nValue: hunter22\nOwners: d-i\n',
    /: passwd\/root-password$/,
  ),
  one('private-keys', '/etc/ssl/server.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n'),
  one('private-keys', '/etc/pki/entitlement/1-key.pem', '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n'),
  one('private-keys', '/etc/wireguard/wg0.conf', '[Interface]\nPrivateKey = AAAA=\n'),
  one('leases', '/var/lib/dhcpcd/secret', 'x'),
  one('leases', '/var/lib/dhcpcd/eth0.lease', 'x'),
  one('random-seed', '/boot/efi/loader/random-seed', 'x'.repeat(32)),
  one('nocloud', '/boot/efi/loader/entries/linux-6.1.conf', 'options root=/dev/vda ds=nocloud\n'),
]

/** In memory, as a volume. */
export function volumeOf(tree: Tree, uuid?: string): Volume {
  type File = { kind: 'file' | 'directory' | 'link'; content: Buffer; names: Map<string, Node> }
  const make = (kind: File['kind'], text = ''): File => ({
    ...{ kind, content: Buffer.from(text, 'latin1'), names: new Map() },
  })
  const nodes = [make('directory')]
  for (const [path, content] of Object.entries(tree)) {
    const parts = path.split('/').filter(Boolean)
    let node = 0
    parts.forEach((part, i) => {
      const last = i + 1 === parts.length && !path.endsWith('/')
      const next = nodes[node]!.names.get(part)
      if (next !== undefined) return void (node = next)
      const link = content.startsWith('-> ')
      const file = link ? make('link', content.slice(3)) : make('file', content)
      nodes[node]!.names.set(part, nodes.push(last ? file : make('directory')) - 1)
      node = nodes.length - 1
    })
  }
  return {
    root: 0,
    uuid,
    stat: (node) => ({
      ...{ kind: nodes[node]!.kind, bytes: nodes[node]!.content.length, mode: 0o644, uid: 0 },
    }),
    entries: (node) => nodes[node]!.names,
    read: (node, limit) => nodes[node]!.content.subarray(0, limit),
    extents: () => [],
  }
}

export const systemOf = (tree: Tree) => new SystemFiles(new Map([['/', volumeOf(tree)]]))

/** The same as files of this machine, below a directory. */
export async function writeTree(tree: Tree, directory: string): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    const place = join(directory, path)
    await mkdir(path.endsWith('/') ? place : dirname(place), { recursive: true })
    if (path.endsWith('/')) continue
    await rm(place, { force: true })
    if (content.startsWith('-> ')) await symlink(content.slice(3), place)
    else await writeFile(place, content, 'latin1')
  }
}
