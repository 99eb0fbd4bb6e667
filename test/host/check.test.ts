import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fixesOf, type HostCheck, hostReport } from '../../lib/host/check.ts'
import { standIns } from '../smartos/stand-ins.ts'
import { inTemporaryDir } from '../temporary.ts'

const command = fileURLToPath(new URL('../../bin/check-host', import.meta.url))

/** Rows of a machine that has these programs. */
async function rowsOf(dir: string, programs: Record<string, string>) {
  const PATH = await standIns(dir, programs)
  const env = { ...process.env, PATH, TMPDIR: dir }
  const { status, stdout, stderr } = spawnSync(command, ['--json'], { env, encoding: 'utf8' })
  assert.is(stderr, '')
  const rows = JSON.parse(stdout) as HostCheck[]
  assert.is(status, rows.some((row) => row.status === 'missing') ? 3 : 0)
  return new Map(rows.map((row) => [row.name, row]))
}
const SMARTOS = {
  uname: "echo 'SunOS joyent_20260501T000000Z i86pc'",
  zonename: 'echo 3a4f6e1c-0000-4000-8000-000000000001',
}
const ZONE = '3a4f6e1c-0000-4000-8000-000000000001'

const checking = suite('check-host')
checking('names what a bare Linux lacks, with the command that brings it', () =>
  inTemporaryDir(async (dir) => {
    const rows = await rowsOf(dir, { uname: "echo 'Linux #1 SMP x86_64'" })
    assert.is(rows.get('Node')!.found, process.versions.node)
    for (const [name, apt] of [
      ['mmdebstrap', 'mmdebstrap'],
      ['xorriso', 'xorriso'],
      ['QEMU', 'qemu-system-x86'],
    ] as const) {
      // Some of these are in directories that are searched whatever $PATH says.
      const row = rows.get(name)!
      if (row.status === 'ok') continue
      assert.is(row.status, 'missing')
      assert.is(row.fix, `apt-get install -y --no-install-recommends ${apt}`)
    }
    assert.is(rows.get('mmdebstrap')!.for, 'bootstrap')
  }),
)
for (const [what, programs, says] of [
  ['run', { 'arch-test': 'exit 0' }, /^ok they run$/],
  [
    'lack a handler',
    { 'arch-test': 'exit 1', 'qemu-aarch64-static': '', 'update-binfmts': '' },
    /^missing the kernel has no handler for them update-binfmts --enable qemu-aarch64$/,
  ],
  ['lack everything', {}, /^missing no arch-test, .* apt-get install \S+ \S+ arch-test qemu-user/],
] as const) {
  checking(`says that programs of arm64 ${what}`, () =>
    inTemporaryDir(async (dir) => {
      if (process.arch === 'arm64') return // they are its own
      const rows = await rowsOf(dir, { uname: "echo 'Linux #1 SMP x86_64'", ...programs })
      const { status, found, fix = '' } = rows.get('programs of arm64')!
      assert.match(`${status} ${found} ${fix}`.trim(), says)
    }),
  )
}
checking('refuses another processor', () =>
  inTemporaryDir(async (dir) => {
    const row = (await rowsOf(dir, { uname: "echo 'Linux #1 SMP riscv64'" })).get('system')!
    assert.equal([row.status, row.fix], ['missing', 'Build on an x86-64 or arm64 machine'])
  }),
)
checking('sends away from the global zone', () =>
  inTemporaryDir(async (dir) => {
    const row = (await rowsOf(dir, { ...SMARTOS, zonename: 'echo global' })).get('zone')!
    assert.equal([row.status, row.found], ['missing', 'the global zone'])
    assert.match(row.fix!, /setup-build-zone UUID/)
  }),
)
checking('finds what a zone lacks', () =>
  inTemporaryDir(async (dir) => {
    const rows = await rowsOf(dir, {
      ...SMARTOS,
      zfs: 'echo "cannot open \'$7\': dataset does not exist" >&2; exit 1',
      profiles: 'echo "          Basic Solaris User"',
    })
    assert.is(rows.get('system')!.found, 'SmartOS joyent_20260501T000000Z, i86pc')
    const dataset = rows.get(`dataset zones/${ZONE}/data`)!
    assert.is(dataset.status, 'missing')
    const fix = `In the global zone: ./bin/setup-build-zone ${ZONE} --hypervisor`
    assert.is(dataset.fix, `${fix} qemu`)
    assert.is(rows.get('/dev/viona')!.fix, `${fix} bhyve`)
    assert.is(rows.get('dhcpd')!.fix, 'pkgin -y install isc-dhcpd')
    assert.is(rows.get('build network')!.fix, './bin/setup-build-network')
    assert.is(rows.get('gpg')!.fix, 'pkgin -y install gnupg2')
    assert.is(rows.get('pigz')!.status, 'slower')
  }),
)
const NICS = (spoofing: boolean) => `echo '[{"interface":"net0","allow_ip_spoofing":${spoofing}}]'`
/** What `svcs -xv` says of a service in maintenance. */
const FAULT = String.raw`
 State: maintenance since Sat Nov 21 10:00:00 2026
Reason: Restarting too quickly.
   See: http://illumos.org/msg/SMF-8000-L5
   See: /var/svc/log/x.log
Impact: This service is not running.`
for (const [what, programs, spoofing, network] of [
  ['works', { svcs: 'echo online', 'mdata-get': NICS(true) }, /^ok allowed$/, /^ok online$/],
  [
    'is in maintenance, on an interface that may not spoof',
    {
      svcs: `[ "$1" = -H ] && echo maintenance || echo '${FAULT}'`,
      'mdata-get': NICS(false),
    },
    /^missing net0 may not spoof addresses In the global zone: \S+ \S+ --hypervisor bhyve$/,
    /^missing in maintenance: Restarting too quickly Mend what the end of \/var\/svc\/log\/x\.log says, then: svcadm clear svc:/,
  ],
  [
    'is off, and metadata cannot be read',
    { svcs: 'echo disabled', 'mdata-get': 'exit 2' },
    /^missing .* cannot be read .*"mdata-get sdc:nics"/,
    /^missing disabled \.\/bin\/setup-build-network$/,
  ],
] as const) {
  checking(`says of a build network that it ${what}`, () =>
    inTemporaryDir(async (dir) => {
      const rows = await rowsOf(dir, { ...SMARTOS, profiles: 'echo All', ...programs })
      for (const [name, says] of [
        ['IP spoofing of net0', spoofing],
        ['build network', network],
      ] as const) {
        const { status, found, fix = '' } = rows.get(name)!
        assert.match(`${status} ${found} ${fix}`.trim(), says)
      }
    }),
  )
}
checking('wants room in the dataset', () =>
  inTemporaryDir(async (dir) => {
    for (const [bytes, status] of [
      [64_424_509_440, 'ok'],
      [1_073_741_824, 'missing'],
    ] as const) {
      const zfs = `[ "$*" = "list -H -p -o avail zones/${ZONE}/data" ] && echo ${bytes}`
      const rows = await rowsOf(`${dir}/${bytes}`, { ...SMARTOS, zfs, profiles: 'echo All' })
      assert.is(rows.get(`dataset zones/${ZONE}/data`)!.status, status)
    }
  }),
)
checking.run()

const reporting = suite('hostReport()')
const row = (name: string, fix?: string): HostCheck => ({
  name,
  for: 'x',
  status: fix === undefined ? 'ok' : 'missing',
  found: 'y',
  ...(fix !== undefined && { fix }),
})
reporting('joins packages in one command, and says every other one once', () => {
  const apt = 'apt-get install -y --no-install-recommends'
  const rows = [
    row('a'),
    row('b', `${apt} curl`),
    row('c', 'In the global zone: x'),
    row('d', `${apt} cpio`),
    row('e', `${apt} curl`),
    row('f', 'In the global zone: x'),
    row('g', 'pkgin -y install pigz'),
  ]
  assert.equal(fixesOf(rows), [
    `${apt} curl cpio`,
    'pkgin -y install pigz',
    'In the global zone: x',
  ])
  assert.equal(hostReport([row('a'), row('bc', 'do it')]), [
    'ok       a   y (for x)',
    'missing  bc  y (for x)',
    '',
    'To mend it:',
    '  do it',
  ])
})
reporting.run()
