import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createHash } from 'node:crypto'
import type { Boot, Seen } from '../../lib/triton/check.ts'
import { checks } from '../../lib/triton/checks.ts'
import { LARGE_VALUE, makeInstance } from '../../lib/triton/instance.ts'

const KEY = 'ssh-ed25519 AAAAC3Nz of-instance-1'
const GIB = 1024 ** 3
const seen: Seen = {
  boot: 'first boot',
  instance: makeInstance(1, [KEY]),
  earlier: new Map(),
  image: { name: 'debian-12', version: '20261121', volumeBytes: 10 * GIB },
  diskBytes: 14 * GIB,
  dataBytes: 2 * GIB,
}
const ID = '0123456789abcdef0123456789abcdef'
const hostKeys = (time: number, key = 'AAAA') =>
  `boot 1000\n${time} /etc/ssh/ssh_host_ed25519_key\nssh-ed25519 ${key}\n`
const machineId = (time: number, id = ID) => `boot 1000\n${time} /etc/machine-id\n${id}\n`
const mdata = [
  ...['put: 0', 'get: trip  with spaces', 'test:round', 'list: 0', 'delete: 0', 'gone: 1'],
  `large: ${createHash('md5').update(`${LARGE_VALUE}\n`).digest('hex')}`,
  ...['large-put: 0', 'read-only: 2', 'parallel: 1 3'],
].join('\n')

type Case = {
  boot?: Boot
  /** Said by the same check on the boot before. */
  before?: string
  said: string
  /** Absent: it is fine. Present: it is not, and the evidence says so. */
  wrong?: RegExp
}

/** What a guest may say, by name of check: every check has to accept and to refuse something. */
const cases: Record<string, Case[]> = {
  'host-name': [
    { said: 'test-1-of-image\n' },
    { said: 'debian\n', wrong: /debian/ },
    { said: '', wrong: /hostname is/ },
  ],
  address: [
    { said: '2: net0    inet 10.88.88.217/24 brd 10.88.88.255 scope global net0\n' },
    { said: '2: eth0    inet 10.88.88.15/24 brd 10.88.88.255 scope global dynamic', wrong: /\.15/ },
    { said: '2: a inet 10.88.88.217/24 x\n2: a inet 10.88.88.15/24 x', wrong: /\.15/ },
    { said: '', wrong: /given/ },
  ],
  routes: [
    {
      said: 'default via 10.88.88.2 dev net0 proto static\n198.51.100.0/24 via 10.88.88.2 dev net0\n',
    },
    { said: 'default via 10.88.88.2 dev net0 proto static\n', wrong: /missing "198/ },
    { said: '198.51.100.0/24 via 10.88.88.2 dev net0', wrong: /missing "default/ },
  ],
  resolver: [
    { said: 'Global:\nLink 2 (net0): 10.88.88.3\nnameserver 127.0.0.53\n' },
    { said: 'nameserver 127.0.0.53\n', wrong: /missing "10.88.88.3"/ },
    { said: 'Link 2: 10.88.88.30', wrong: /missing/ },
  ],
  'authorized-keys': [
    { said: `${KEY}\n` },
    { said: `# comment\nno-pty,command="echo" ${KEY}\n${KEY}\n` },
    {
      said: `${KEY}\nssh-rsa AAAAB3 of-the-builder\n`,
      wrong: /also "ssh-rsa AAAAB3 of-the-builder"/,
    },
    { said: '', wrong: /missing/ },
  ],
  'host-keys': [
    { said: hostKeys(1010) },
    { said: hostKeys(999), wrong: /older than the boot: \/etc\/ssh\/ssh_host_ed25519_key/ },
    { said: 'boot 1000\nstat: cannot statx', wrong: /none/ },
    { boot: 'reboot', before: hostKeys(500), said: hostKeys(500) },
    { boot: 'reboot', before: hostKeys(500), said: hostKeys(1010, 'BBBB'), wrong: /reboot/ },
    { boot: 'second generation', before: hostKeys(500), said: hostKeys(1010, 'BBBB') },
    {
      boot: 'second generation',
      before: hostKeys(500),
      said: hostKeys(1010),
      wrong: /as in the first generation/,
    },
  ],
  'machine-id': [
    { said: machineId(1001) },
    { said: machineId(20), wrong: /older/ },
    { said: 'boot 1000\n1001 /etc/machine-id\nuninitialized\n', wrong: /hexadecimal/ },
    { boot: 'reboot', before: machineId(1), said: machineId(1) },
    { boot: 'reboot', before: machineId(1), said: machineId(1, 'f'.repeat(32)), wrong: /fff/ },
    { boot: 'second generation', before: machineId(1), said: machineId(1001), wrong: /first gen/ },
  ],
  'host-id': [{ said: '11111111\n' }, { said: '007f0101\n', wrong: /007f0101/ }],
  'root-grown': [
    { said: ` ${13.6 * GIB}\n` },
    { said: ` ${9.6 * GIB}\n`, wrong: /9\.6 GiB on a disk of 14\.0 GiB/ },
    { said: '', wrong: /GiB/ },
  ],
  'data-disk': [
    { said: `/dev/vdb ext4 ${1.9 * GIB}\ndisk\n` },
    { said: `/dev/vdb1 ext4 ${1.9 * GIB}\npart\n`, wrong: /part/ },
    { said: `/dev/vdb xfs ${1.9 * GIB}\ndisk\n`, wrong: /xfs/ },
    { said: `/dev/vdb ext4 ${0.9 * GIB}\ndisk\n`, wrong: /0\.9 GiB of 2\.0/ },
    { said: '', wrong: /nothing is mounted/ },
    { boot: 'reboot', said: `/dev/vdb ext4 ${1.9 * GIB}\ndisk\nkept\n` },
    { boot: 'reboot', said: `/dev/vdb ext4 ${1.9 * GIB}\ndisk\n`, wrong: /made anew/ },
    { said: `/dev/vdb ext4 ${1.9 * GIB}\ndisk\nkept\n`, wrong: /not empty/ },
  ],
  swap: [{ said: '' }, { said: '/swapfile file 512M 0B -2\n', wrong: /\/swapfile/ }],
  'mdata-tools': [
    { said: mdata },
    { said: mdata.replace('gone: 1', 'gone: 0'), wrong: /missing "gone: 1"/ },
    { said: mdata.replace('parallel: 1 3', 'parallel: 1 2'), wrong: /parallel/ },
    { said: 'sh: mdata-put: not found', wrong: /missing/ },
  ],
  'user-script': [
    { said: 'ran\n' },
    { said: 'ran\nran\n', wrong: /2 times/ },
    { said: 'cat: no such file', wrong: /0 times/ },
  ],
  'operator-script': [{ said: 'ran\n' }, { said: '', wrong: /0 times/ }],
  'user-data': [{ said: 'a line of user-data\n' }, { said: 'cat: no', wrong: /cat: no/ }],
  'package-sources': [
    {
      said: 'release bookworm\nsource http://deb.example.org/debian bookworm\nsource http://security.example.org/d bookworm-security\n',
    },
    {
      said: 'release bookworm\nsource http://deb.example.org/debian trixie\n',
      wrong: /not of bookworm: .*trixie/,
    },
    { said: 'release bookworm\nsource http://10.0.0.1/debian bookworm\n', wrong: /10\.0\.0\.1/ },
    { said: 'release bookworm\nsource http://mirror:3142/debian bookworm\n', wrong: /3142/ },
    {
      said: 'release bookworm\nsource http://deb.example.org/debian bookworm\nlocal /etc/apt/sources.list:deb cdrom:[x]/ bookworm\n',
      wrong: /cdrom/,
    },
    { said: 'release bookworm\n', wrong: /none/ },
  ],
  sudo: [
    { said: '0\nrefused\n' },
    { said: '0\n0\n', wrong: /0, then 0/ },
    { said: 'sudo: not found\nrefused\n', wrong: /not found/ },
  ],
  'boot-menu-renewed': [
    { said: 'done\n2\n' },
    { said: 'done\n0\n', wrong: /done; 0/ },
    { said: 'sh: grub2-mkconfig: not found\n', wrong: /not found/ },
  ],
  trim: [{ said: 'active\n' }, { said: 'inactive\n', wrong: /inactive/ }],
  units: [{ said: '\n' }, { said: 'ssh.service loaded failed failed OpenSSH\n', wrong: /ssh/ }],
  'cloud-init': [
    { said: 'status: done\ndetail:\nDataSourceSmartOS [client=x]\n' },
    { said: 'status: error\nerrors:\n\t- boom\n', wrong: /^error/ },
    { said: '', wrong: /no status/ },
  ],
  passwords: [{ said: '' }, { said: 'root\ndebian\n', wrong: /root, debian/ }],
  banner: [
    { said: '\n  Debian\n  Image debian-12 20261121, built for Triton\n' },
    { said: 'Image debian-12 20200101\n', wrong: /no "debian-12" with "20261121"/ },
  ],
  logs: [{ said: '' }, { said: '/var/log/dpkg.log\n', wrong: /dpkg\.log/ }],
  'build-leftovers': [
    { said: '' },
    { said: 'a\nb\nc\nd\ne\nf\ng\n', wrong: /a; b; c; d; e and 2 more/ },
  ],
  ownership: [{ said: '' }, { said: '/root has mode 755\n', wrong: /755/ }],
  'first-boot-once': [
    { said: '5 /var/lib/cloud/instance/sem/config_ssh\n9 /etc/fstab\n' },
    { boot: 'reboot', before: '5 /a\n9 /etc/fstab', said: '5 /a\n9 /etc/fstab\n' },
    {
      boot: 'reboot',
      before: '5 /a\n9 /etc/fstab',
      said: '77 /a\n9 /etc/fstab\n',
      wrong: /77 \/a/,
    },
  ],
}

const judging = suite('checks')
for (const { name, judge } of checks) {
  const of = cases[name] ?? []
  judging(`${name} has cases of both kinds`, () => {
    assert.ok(of.some(({ wrong }) => wrong === undefined))
    assert.ok(of.some(({ wrong }) => wrong !== undefined))
  })
  for (const { boot = 'first boot', before, said, wrong } of of) {
    judging(
      `${name} ${wrong ? 'refuses' : 'accepts'} ${JSON.stringify(said.slice(0, 60))} on ${boot}`,
      () => {
        const earlier = new Map(before === undefined ? [] : [[name, before]])
        const { ok, evidence } = judge(said, { ...seen, boot, earlier })
        assert.is(ok, wrong === undefined, evidence)
        if (wrong) assert.match(evidence, wrong)
        else assert.ok(evidence.length > 0, 'there is evidence')
      },
    )
  }
}
judging('have names of their own', () => {
  const names = checks.map(({ name }) => name)
  assert.equal([...new Set(names)], names)
  assert.equal(Object.keys(cases).sort(), names.toSorted())
})
judging.run()
