/**
 * Two instances of a golden image under a real libvirtd, by the line that the command printed: one from BIOS, one
 * from UEFI.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { buildGolden } from '../golden.ts'
import { type Libvirtd, startLibvirtd } from '../libvirtd.ts'
import { workDir } from '../live.ts'

const { dir, remove } = await workDir()
const home = join(dir, 'home')
execFileSync('mkdir', ['-p', join(home, '.ssh')])
const key = join(home, '.ssh/id_ed25519')

let libvirtd: Libvirtd
/** What each instance says of itself, by the name of the fact. */
const instances = new Map<string, Map<string, string>>()

/** Emulated machines on busy cores. */
const LIMIT_MS = 10 * 60_000

/** Asked in an instance, as its administrator; a word, and what the commands behind it print. */
const FACTS: Record<string, string> = {
  user: 'id -un; id -Gn',
  root: 'sudo -n id -un',
  'cloud-init':
    'cloud-init status --wait; echo $?; cloud-init query v1.cloud_name 2>/dev/null || true',
  'machine-id': 'cat /etc/machine-id',
  address: 'ip -4 -br address show dev eth0',
  'address 6': 'ip -6 -br address show dev eth0',
  route: 'ip route show default',
  network: 'networkctl --no-pager status eth0 | grep -o "Network File: .*"',
  netplan: 'ls /etc/netplan /run/systemd/network /etc/network 2>/dev/null || true',
  resolver: 'readlink /etc/resolv.conf; resolvectl --no-pager status',
  keys: 'cd /etc/ssh; ls ssh_host_*_key',
  key: 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
  'authorized keys': 'cat ~/.ssh/authorized_keys; sudo -n cat /root/.ssh/authorized_keys',
  passwords: "sudo -n awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow",
  branch: 'sudo -n git -C /etc branch --show-current; sudo -n git -C /etc log --format=%s',
  upgrades: 'apt-config dump',
  root_size: 'df --output=size -BG / | tail -n 1',
  failed: 'systemctl --failed --plain --no-legend',
  agent: "dpkg-query -W -f '${db:Status-Status}' qemu-guest-agent",
}

const instance = suite('instances of a golden image under libvirtd')
instance('are made by the printed line, from BIOS and from UEFI', async () => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'of-the-test', '-f', key])
  const built = await buildGolden(dir)
  libvirtd = await startLibvirtd(dir)
  const line = built.handOver[0]!.replace(/^On the libvirt host: /, '')
  assert.match(line, /^virt-install --import --name my-golden /)
  for (const [name, more] of [
    ['bios', ''],
    ['uefi', '--boot uefi'],
  ] as const) {
    // What else libvirt would choose by itself is KVM, which may not work where this runs.
    const own = line.replace('--name my-golden', `--name ${name}`)
    libvirtd.run(`${own} --virt-type qemu ${more}`, { HOME: home })
  }
  for (const name of ['bios', 'uefi']) {
    const address = await addressOf(name)
    instances.set(name, await factsOf(address))
  }
})

const fact = (name: string) => [...instances].map(([of, facts]) => [of, facts.get(name)!] as const)
const all = (name: string, says: RegExp | string) => {
  assert.is(instances.size, 2)
  for (const [of, said] of fact(name)) {
    if (typeof says === 'string') assert.is(said, says, `${of}: ${name}`)
    else assert.match(said, says, `${of}: ${name}: ${said}`)
  }
}
instance('let the administrator in by the key of the seed, and nobody by a password', () => {
  all('user', /^ops\n.*\badm\b.*$/)
  for (const group of ['adm', 'sudo', 'sudonp']) all('user', new RegExp(`\\b${group}\\b`))
  all('root', 'root')
  all('authorized keys', /^ssh-ed25519 \S+ of-the-test$/m)
  all('passwords', '')
})
instance('were set up by cloud-init, without an error', () => {
  all('cloud-init', /status: done\n0\n/)
  all('failed', '')
  all('root_size', /^ *(19|20)G$/)
})
instance('have their address from systemd-networkd, IPv4 alone, with the metric', () => {
  all('address', /^eth0 +UP +192\.168\.122\.\d+\/24/)
  all('address 6', '')
  all('route', /^default via 192\.168\.122\.1 dev eth0 proto dhcp src \S+ metric 250$/)
  all('network', /\/etc\/systemd\/network\/50-first-interface\.network$/)
  all('netplan', /^(?!.*\.(yaml|network|link))/s)
})
instance('resolve names by systemd-resolved alone', () => {
  all('resolver', /^\.\.\/run\/systemd\/resolve\/stub-resolv\.conf$/m)
  all('resolver', /^ *Protocols: -LLMNR -mDNS/m)
  all('resolver', /DNS Servers: 192\.168\.122\.1$/m)
})
instance('have identities of their own', () => {
  for (const name of ['machine-id', 'key', 'address']) {
    const [one, other] = fact(name)
    assert.ok(one![1].length > 10)
    assert.is.not(one![1], other![1], name)
  }
  all('machine-id', /^[0-9a-f]{32}$/)
  all('keys', 'ssh_host_ed25519_key')
})
instance('upgrade themselves as the variables say', () => {
  all('upgrades', /^APT::Periodic::Unattended-Upgrade "1";$/m)
  all('upgrades', /^Unattended-Upgrade::Automatic-Reboot "true";$/m)
  all('upgrades', /^Unattended-Upgrade::Automatic-Reboot-Time "03:30";$/m)
  all('upgrades', /^Unattended-Upgrade::Automatic-Reboot-WithUsers "false";$/m)
})
instance('have /etc in a repository that begins with the image', () => {
  all('branch', /^trunk\n(?:.*\n)*Image golden \d{8}$/)
  all('agent', 'installed')
})
instance('lose what sudonp gives with the group', async () => {
  const address = await addressOf('bios')
  const ssh = (words: string) => libvirtd.try(sshWords(address, words))
  assert.is(ssh('sudo -n gpasswd -d ops sudonp').status, 0)
  const denied = ssh('sudo -n id')
  assert.is.not(denied.status, 0)
  assert.match(denied.stderr, /password is required/)
})
instance.after(async () => {
  await libvirtd?.stop()
  await remove()
})
instance.run()

const sshWords = (address: string, words: string) =>
  `ssh -i ${key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ` +
  `-o LogLevel=ERROR -o ConnectTimeout=20 ops@${address} '${words.replaceAll("'", `'\\''`)}'`

/** The address that libvirt's DHCP server gave, once the administrator is let in there. */
async function addressOf(name: string): Promise<string> {
  const deadline = Date.now() + LIMIT_MS
  let last = ''
  while (Date.now() < deadline) {
    const { stdout } = libvirtd.try(`virsh -q domifaddr ${name}`)
    const [, address] = /ipv4 +(\d+(?:\.\d+){3})/.exec(stdout) ?? []
    if (address !== undefined) {
      const login = libvirtd.try(sshWords(address, 'true'))
      if (login.status === 0) return address
      last = `ssh to ${address}: ${login.stderr.trim()}`
    }
    await delay(3000)
  }
  const screen = libvirtd.try(`virsh dominfo ${name}`).stdout
  throw new Error(`${basename(name)} let nobody in: ${last}\n${screen}`)
}

async function factsOf(address: string): Promise<Map<string, string>> {
  const script = Object.entries(FACTS)
    .map(([name, words]) => `echo "@@ ${name}"\n{ ${words}\n} 2>/dev/null`)
    .join('\n')
  const text = libvirtd.try(sshWords(address, script)).stdout
  const parts = text.split(/^@@ /m).slice(1)
  return new Map(
    parts.map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1).trim()] as const
    }),
  )
}
