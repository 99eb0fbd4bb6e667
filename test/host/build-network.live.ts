/** setup-build-network and places of builds against stand-ins of a zone's programs: see ../smartos/zone.ts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ChildProcess } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HostCheck } from '../../lib/host/check.ts'
import { needPackages, someCuts } from '../live.ts'
import { inZone, put, without, type Zone, ZONE } from '../smartos/zone.ts'

needPackages({ '/usr/bin/python3': 'python3' })

const NAME = 'setup-build-network'
const DIR = '/opt/hybrid-images/network'
const INSTANCE = 'svc:/application/hybrid-images/network:default'
const SERVICE = 'state/services/application/hybrid-images/network'
/** A process's number in the names of what it writes. */
const steady = (did: readonly string[]) => did.map((line) => line.replace(/\.\d+\.partial/g, '.N'))

const SET_UP = [
  `mkdir -p ${DIR}`,
  ...['dhcpd.conf', 'ipnat.conf', 'manifest.xml', 'network.sh'].flatMap((name) => [
    `tee ${DIR}/${name}.N`,
    `mv ${DIR}/${name}.N ${DIR}/${name}`,
  ]),
  `svccfg import ${DIR}/manifest.xml`,
  `svcadm enable -s ${INSTANCE}`,
]
const RUN = '/var/run/hybrid-images/network'
const METHOD = [
  `mkdir -p ${RUN}/slots`,
  'dladm create-etherstub -t hybrid0',
  'dladm create-vnic -t -l hybrid0 dhcp0',
  'ifconfig dhcp0 plumb',
  'ifconfig dhcp0 10.0.0.1 netmask 255.255.255.0 up',
  'routeadm -u -e ipv4-forwarding',
  'svcadm enable -s -t network/ipfilter',
  `ipnat -r -f ${DIR}/ipnat.conf`,
  `ipnat -f ${DIR}/ipnat.conf`,
  `dhcpd -4 -q -cf ${DIR}/dhcpd.conf -lf ${RUN}/dhcpd.leases -pf ${RUN}/dhcpd.pid dhcp0`,
]

async function setUp(zone: Zone, words: string[] = []) {
  const outcome = await zone.run(NAME, words)
  assert.is(outcome.status, 0, outcome.stderr)
  return outcome
}

/** Everything works, and there is nothing to do. */
async function assertUp(zone: Zone): Promise<void> {
  assert.equal(await zone.links(), ['dhcp0', 'hybrid0', 'net0'])
  assert.is(await zone.read(`${SERVICE}/state`), 'online')
  assert.is((await zone.read('state/rules'))!.split('\n').length, 2)
  assert.is(await zone.read('state/forwarding/current'), '')
  const { status, did, stderr } = await zone.run(NAME, [])
  assert.equal([status, did], [0, []], stderr)
  assert.match(stderr, /^The build network is there: nothing to do$/m)
}

/** As the zone was before. */
async function assertGone(zone: Zone): Promise<void> {
  assert.equal(await zone.links(), ['net0'])
  assert.is(await zone.read(`${SERVICE}/state`), undefined)
  assert.is(await zone.read('state/rules'), '')
  assert.is(await zone.read('state/ipf'), undefined)
  assert.equal(await readdir(join(zone.dir, 'state/forwarding')), [])
  assert.equal(await readdir(join(zone.dir, 'opt/hybrid-images')), [])
  const { status, did, stderr } = await zone.run(NAME, ['--teardown'])
  assert.equal([status, did], [0, []], stderr)
  assert.match(stderr, /^The build network is not there: nothing to do$/m)
}

const network = suite(NAME)
network('sets everything up, and then has nothing to do', () =>
  inZone(async (zone) => {
    const { did, stderr } = await setUp(zone)
    assert.equal(steady(did), [...SET_UP, ...METHOD])
    assert.match(stderr, /^The build network is ready$/m)
    await assertUp(zone)
  }),
)
network('prints the commands with --dry-run, which a shell can read, and does nothing', () =>
  inZone(async (zone) => {
    const { status, stdout, did } = await zone.run(NAME, ['--dry-run'])
    assert.equal([status, did], [0, []])
    assert.equal(await zone.links(), ['net0'])
    const child = zone.start(['sh', '-e'])
    child.stdin!.end(stdout)
    assert.is(await exitOf(child), 0)
    await assertUp(zone)
  }),
)
network('survives a reboot', () =>
  inZone(async (zone) => {
    await setUp(zone)
    await zone.reboot()
    await assertUp(zone)
  }),
)
network('takes another subnet and another uplink', () =>
  inZone(async (zone) => {
    await zone.write(
      'state/nics',
      '[{"interface":"net0"},{"interface":"net1","allow_ip_spoofing":true}]',
    )
    await setUp(zone, ['--subnet', '10.99.0.0/24', '--uplink', 'net1'])
    assert.match((await zone.read('state/rules'))!, /^map net1 10\.99\.0\.0\/24 -> 0\/32 portmap/)
    assert.match((await zone.read('state/plumbed/dhcp0'))!, /^10\.99\.0\.1 /)
    await assertUp(zone) // asked for nothing else, it stays
    await setUp(zone, ['--subnet', '10.98.0.0/16'])
    assert.match((await zone.read('state/rules'))!, /^map net1 10\.98\.0\.0\/16 -> 0\/32 portmap/)
    assert.is(await zone.read('state/plumbed/dhcp0'), '10.98.0.1 255.255.0.0')
  }),
)
network('makes what somebody took away', () =>
  inZone(async (zone) => {
    await setUp(zone)
    await zone.write('state/rules', 'map net0 10.0.0.0/24 -> 0/32\n')
    await setUp(zone)
    await assertUp(zone)
  }),
)
network('leaves what was on before it, and takes its own back', () =>
  inZone(async (zone) => {
    await zone.write('state/forwarding/persistent', '')
    await zone.write('state/forwarding/current', '')
    await zone.write('state/ipf', '')
    await zone.write('state/rules', 'map net0 10.7.0.0/24 -> 0/32\n')
    const { did } = await setUp(zone)
    assert.not.ok(did.some((line) => /^routeadm|^svcadm .* -t/.test(line)))
    assert.is((await zone.run(NAME, ['--teardown'])).status, 0)
    assert.equal((await readdir(join(zone.dir, 'state/forwarding'))).sort(), [
      'current',
      'persistent',
    ])
    assert.is(await zone.read('state/ipf'), '')
    assert.is(await zone.read('state/rules'), 'map net0 10.7.0.0/24 -> 0/32')
  }),
)
for (const cut of someCuts([...SET_UP, ...METHOD].map((line) => line.replace(/\.N.*/, '')))) {
  network(`is completed by the next run when the power fails at "${cut.slice(0, 60)}"`, () =>
    inZone(async (zone) => {
      assert.is.not((await zone.run(NAME, [], cut)).status, 0)
      await zone.reboot()
      await setUp(zone)
      await assertUp(zone)
      assert.is((await zone.run(NAME, ['--teardown'])).status, 0)
      await assertGone(zone)
    }),
  )
}
network.run()

const faults = suite(`${NAME}: faults`)
const refused: [string, (zone: Zone) => Promise<unknown>, RegExp, RegExp][] = [
  [
    'the global zone',
    (zone) => zone.write('state/zone', 'global'),
    /This is the global zone$/,
    /in that zone/,
  ],
  [
    'no IP spoofing',
    (zone) => zone.write('state/nics', '[{"interface":"net0"}]'),
    /network: net0 may not spoof addresses$/,
    new RegExp(`In the global zone: ./bin/setup-build-zone ${ZONE} --hypervisor bhyve$`),
  ],
  [
    'no such uplink',
    (zone) => zone.write('state/nics', '[{"interface":"net1","allow_ip_spoofing":true}]'),
    /the zone has no interface net0, but net1$/,
    /--uplink/,
  ],
  [
    'a subnet that the zone is in',
    (zone) => zone.write('state/plumbed/net0', '10.0.0.77 255.255.0.0\n'),
    /10\.0\.0\.0\/24 has addresses that net0 is in: 10\.0\.0\.0\/16$/,
    /--subnet 10\.99\.0\.0\/24$/,
  ],
  [
    'no dhcpd',
    (zone) => without(zone, 'opt/local/sbin/dhcpd'),
    /\/opt\/local\/sbin\/dhcpd is missing$/,
    /pkgin -y install isc-dhcpd$/,
  ],
  [
    'no viona',
    (zone) => without(zone, 'dev/viona'),
    /\/dev\/viona is missing$/,
    /setup-build-zone/,
  ],
  [
    "somebody's dhcp0",
    (zone) => zone.write('state/links/dhcp0', 'vnic images0 2:8:20:1:2:3'),
    /dhcp0 is there already, over images0$/,
    /rename-link/,
  ],
  [
    "somebody's file",
    (zone) => put(zone, 'opt/hybrid-images/network/dhcpd.conf', '# mine\n'),
    /network\/dhcpd\.conf was not written by this project$/,
    /Move it away: mv/,
  ],
  [
    'no name server',
    (zone) => zone.write('resolv.conf', 'nameserver 127.0.0.1\nnameserver ::1\n'),
    /resolv\.conf names no server that guests could ask$/,
    /nameserver/,
  ],
]
for (const [what, change, says, fix] of refused) {
  faults(`refuses ${what}`, () =>
    inZone(async (zone) => {
      await change(zone)
      const before = await readdir(join(zone.dir, 'opt'), { recursive: true })
      const { status, stderr, did } = await zone.run(NAME, [])
      assert.equal([status, did], [3, []], stderr)
      const [error = '', hint = ''] = stderr.trim().split('\n')
      assert.match(error, says)
      assert.match(hint, fix)
      assert.equal(await readdir(join(zone.dir, 'opt'), { recursive: true }), before)
    }),
  )
}
faults('says all that is missing at once', () =>
  inZone(async (zone) => {
    await without(zone, 'dev/viona')
    await without(zone, 'opt/local/sbin/dhcpd')
    const { status, stderr } = await zone.run(NAME, [])
    assert.is(status, 3)
    assert.match(stderr, /^Error: Cannot set up the build network for 2 reasons$/m)
    assert.match(stderr, /^ {2}\/dev\/viona is missing\n {4}In the global zone: /m)
    assert.match(stderr, /^ {2}\S+dhcpd is missing\n {4}pkgin -y install isc-dhcpd$/m)
  }),
)
faults('does not write through somebody’s file, and does not remove it', () =>
  inZone(async (zone) => {
    await setUp(zone)
    await put(zone, 'opt/hybrid-images/network/ipnat.conf', '# mine\n')
    assert.is((await zone.run(NAME, [])).status, 3)
    assert.is((await zone.run(NAME, ['--teardown'])).status, 0)
    assert.equal(await readdir(join(zone.dir, 'opt/hybrid-images/network')), ['ipnat.conf'])
    assert.is(await zone.read('opt/hybrid-images/network/ipnat.conf'), '# mine')
    assert.equal((await zone.run(NAME, ['--teardown'])).did, [])
  }),
)
faults('says why the service is in maintenance, and what clears it', () =>
  inZone(async (zone) => {
    await setUp(zone)
    await without(zone, 'opt/local/sbin/dhcpd')
    await zone.reboot()
    assert.is(await zone.read(`${SERVICE}/state`), 'maintenance')
    await symlink(
      fileURLToPath(new URL('../smartos/zone.sh', import.meta.url)),
      join(zone.dir, 'opt/local/sbin/dhcpd'),
    )
    for (const _ of [1, 2]) {
      const { status, stderr, did } = await zone.run(NAME, [])
      assert.equal([status, did], [3, []], stderr)
      assert.match(
        stderr,
        /service is in maintenance: Start method exited with \$SMF_EXIT_ERR_CONFIG$/m,
      )
      assert.match(
        stderr,
        new RegExp(
          `^  See the end of /var/svc/log/\\S+, mend it, then: svcadm clear ${INSTANCE}$`,
          'm',
        ),
      )
    }
    const child = zone.start(['svcadm', 'clear', INSTANCE])
    assert.is(await exitOf(child), 0)
    await assertUp(zone)
  }),
)
faults('says at once that the service did not come', () =>
  inZone(async (zone) => {
    await mkdir(join(zone.dir, 'state/wanted')) // ipnat can't work
    const { status, stderr } = await zone.run(NAME, [])
    assert.is(status, 3)
    assert.match(
      stderr,
      /in maintenance: Start method failed repeatedly, last exited with status 1$/m,
    )
    assert.is((await zone.run(NAME, ['--teardown'])).status, 0)
    await assertGone(zone)
  }),
)
faults('is asked with what it can take', () =>
  inZone(async (zone) => {
    for (const [words, says] of [
      [['--subnet', '10.0.0.1/24'], /Cannot use subnet "10\.0\.0\.1\/24"/],
      [['--subnet', '10.0.0.0/28'], /a prefix of 8 to 26/],
      [['--uplink', 'net'], /Cannot read interface "net"/],
      [['--teardown', '--subnet', '10.0.0.0/24'], /with --teardown/],
    ] as const) {
      const { status, stderr } = await zone.run(NAME, [...words])
      assert.is(status, 2)
      assert.match(stderr, says)
    }
  }),
)
faults.run()

const teardown = suite(`${NAME} --teardown`)
teardown('leaves nothing, and then has nothing to do', () =>
  inZone(async (zone) => {
    await setUp(zone)
    const { did, stderr, status } = await zone.run(NAME, ['--teardown'])
    assert.is(status, 0, stderr)
    assert.ok(did.includes(`svcadm disable -s ${INSTANCE}`))
    await assertGone(zone)
    await setUp(zone)
    await assertUp(zone)
  }),
)
for (const cut of someCuts([
  'svcadm disable',
  'ipnat -r',
  'routeadm -u -d',
  'ifconfig dhcp0 unplumb',
  'dladm delete-vnic',
  'dladm delete-etherstub',
  'svccfg delete',
  'rm -rf',
])) {
  teardown(`is completed by the next run when the power fails at "${cut}"`, () =>
    inZone(async (zone) => {
      await setUp(zone)
      assert.is.not((await zone.run(NAME, ['--teardown'], cut)).status, 0)
      await zone.reboot()
      const { status, stderr } = await zone.run(NAME, ['--teardown'])
      assert.is(status, 0, stderr)
      await assertGone(zone)
    }),
  )
}
teardown('works when somebody has removed our files', () =>
  inZone(async (zone) => {
    await setUp(zone)
    for (const name of await readdir(join(zone.dir, DIR.slice(1)))) {
      if (name !== 'ipnat.conf' && name !== 'forwarding-turned-on')
        await without(zone, `${DIR.slice(1)}/${name}`)
    }
    assert.is((await zone.run(NAME, ['--teardown'])).status, 0)
    await assertGone(zone)
  }),
)
teardown.run()

type Link = { vnic: string; mac: string; address: string; gateway: string; subnet: string }
type Build = { child: ChildProcess; link: Link & { error?: string; hint?: string } }
const script = fileURLToPath(new URL('../smartos/take-link.ts', import.meta.url))
const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))

const exitOf = (child: ChildProcess) =>
  new Promise((done) => {
    if (child.exitCode !== null) done(child.exitCode)
    child.on('close', (status, signal) => done(status ?? signal))
  })

/** A build that has said which place it got. */
async function startBuild(zone: Zone): Promise<Build> {
  const child = zone.start(['node', launcher, script])
  let stdout = ''
  let stderr = ''
  child.stderr!.on('data', (data: Buffer) => (stderr += data))
  await new Promise<void>((done, fail) => {
    child.stdout!.on('data', (data: Buffer) => {
      stdout += data
      if (stdout.includes('\n')) done()
    })
    child.on('close', (status) => fail(new Error(`It ended with ${status}: ${stderr}`)))
  })
  return { child, link: JSON.parse(stdout) as Build['link'] }
}
async function endBuild({ child }: Build): Promise<void> {
  child.stdin!.end()
  assert.is(await exitOf(child), 0)
}
const kill = ({ child }: Build) => {
  child.kill('SIGKILL')
  return exitOf(child)
}
const builds = (links: readonly string[]) => links.filter((link) => link.startsWith('build'))

const places = suite('takeBuildLink()')
places('sets the network up for the first build, and gives each a place of its own', () =>
  inZone(async (zone) => {
    const all = await Promise.all([1, 2, 3, 4].map(() => startBuild(zone)))
    const vnics = all.map(({ link }) => link.vnic).sort()
    assert.equal(
      vnics,
      ['build0', 'build1', 'build2', 'build3'],
      JSON.stringify(all.map(({ link }) => link)),
    )
    for (const { link } of all) {
      const n = Number(link.vnic.slice(5))
      assert.equal(link, {
        vnic: `build${n}`,
        mac: `02:68:69:6d:67:0${n}`,
        address: `10.0.0.${10 + n}`,
        gateway: '10.0.0.1',
        subnet: '10.0.0.0/24',
      })
      assert.is(await zone.read(`state/links/${link.vnic}`), `vnic hybrid0 ${link.mac}`)
    }
    for (const build of all) await endBuild(build)
    assert.equal(builds(await zone.links()), [])
    assert.equal(await readdir(join(zone.dir, 'run/hybrid-images/network/slots')), [])
    await assertUp(zone)
  }),
)
places('takes back the place of a dead build', () =>
  inZone(async (zone) => {
    const first = await startBuild(zone)
    const second = await startBuild(zone)
    await kill(first)
    assert.equal(builds(await zone.links()), ['build0', 'build1'])
    const third = await startBuild(zone)
    assert.is(third.link.vnic, 'build0')
    await endBuild(third)
    await endBuild(second)
    assert.equal(builds(await zone.links()), [])
  }),
)
places('gives a dead build’s place to one only of several that want it', () =>
  inZone(async (zone) => {
    const first = await startBuild(zone)
    await kill(first)
    const all = await Promise.all([1, 2, 3, 4].map(() => startBuild(zone)))
    const vnics = all.map(({ link }) => link.vnic)
    assert.is(new Set(vnics).size, 4, vnics.join())
    for (const build of all) await endBuild(build)
    assert.equal(builds(await zone.links()), [])
  }),
)
places('leaves the place of a dead build while its machine is still on it', () =>
  inZone(async (zone) => {
    await kill(await startBuild(zone))
    await zone.write('state/busy/build0', '1')
    const second = await startBuild(zone)
    assert.is(second.link.vnic, 'build1')
    const third = await startBuild(zone)
    assert.is(third.link.vnic, 'build0')
    await endBuild(second)
    await endBuild(third)
  }),
)
places('waits for a machine that has not let go', () =>
  inZone(async (zone) => {
    const build = await startBuild(zone)
    await zone.write('state/busy/build0', '3')
    await endBuild(build)
    assert.equal(builds(await zone.links()), [])
  }),
)
places('says it when all are taken', () =>
  inZone(async (zone) => {
    await setUp(zone)
    for (let n = 0; n < 32; n++)
      await zone.write(`state/links/build${n}`, `vnic hybrid0 2:0:0:0:0:${n}`)
    const { link, child } = await startBuild(zone)
    assert.match(link.error!, /^All 32 places on the build network are taken$/)
    child.stdin!.end()
  }),
)
places('says what stands in the way', () =>
  inZone(async (zone) => {
    await zone.write('state/nics', '[{"interface":"net0"}]')
    const { link, child } = await startBuild(zone)
    assert.match(link.error!, /net0 may not spoof addresses/)
    assert.match(link.hint!, /setup-build-zone/)
    child.stdin!.end()
  }),
)
places('keeps the network from being taken down under a build', () =>
  inZone(async (zone) => {
    const build = await startBuild(zone)
    for (const words of [['--teardown'], ['--subnet', '10.99.0.0/24']]) {
      const { status, stderr, did } = await zone.run(NAME, words)
      assert.equal([status, did], [3, []])
      assert.match(stderr, /^Error: Builds are on the build network: build0 \(process \d+\)$/m)
    }
    // A network that lost something is mended all the same once the operator says so.
    await zone.write('state/rules', '')
    const { status, stderr } = await zone.run(NAME, ['--yes'])
    assert.is(status, 0, stderr)
    assert.equal(await zone.links(), ['build0', 'dhcp0', 'hybrid0', 'net0'])
    assert.is((await zone.run(NAME, ['--teardown', '--yes'])).status, 0)
    await assertGone(zone)
    await endBuild(build)
  }),
)
places.run()

const host = suite('check-host')
async function rows(zone: Zone) {
  const { stdout, stderr } = await zone.run('check-host', ['--json'])
  assert.is(stderr, '')
  return new Map((JSON.parse(stdout) as HostCheck[]).map((row) => [row.name, row]))
}
host('has rows for the build network', () =>
  inZone(async (zone) => {
    const before = await rows(zone)
    assert.is(before.get('IP spoofing of net0')!.status, 'ok')
    assert.is(before.get('dhcpd')!.status, 'ok')
    assert.equal(
      [before.get('build network')!.found, before.get('build network')!.fix],
      ['absent', './bin/setup-build-network'],
    )
    await setUp(zone)
    assert.is((await rows(zone)).get('build network')!.status, 'ok')
    await without(zone, 'opt/local/sbin/dhcpd')
    await zone.write('state/nics', '[{"interface":"net0"}]')
    await zone.reboot()
    const after = await rows(zone)
    assert.match(after.get('build network')!.found, /^in maintenance: Start method exited/)
    assert.match(after.get('build network')!.fix!, /svcadm clear/)
    assert.is(after.get('dhcpd')!.fix, 'pkgin -y install isc-dhcpd')
    assert.match(after.get('IP spoofing of net0')!.fix!, /^In the global zone: /)
  }),
)
host.run()
