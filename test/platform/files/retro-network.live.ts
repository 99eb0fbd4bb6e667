/** What retro-network makes of a machine's interfaces, and of network.conf; create-zone and ntp on top. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inTemporaryDir } from '../../temporary.ts'
import { Guest } from './guest.ts'

/** A machine that is set up and has booted up to network/physical. */
type Machine = { nics?: string; links?: string; conf?: string; etherstub?: string; fw?: boolean }
const LINKS = 'e1000g0 90:b8:d0:1:2:3\n'
const NICS = '90:b8:d0:01:02:03 1 10.1.2.1 1500 10.1.2.3/255.255.255.0\n'

async function withMachine(
  { nics = NICS, links = LINKS, conf, etherstub = 'retro0', fw = false }: Machine,
  use: (guest: Guest) => Promise<void>,
) {
  await inTemporaryDir(async (dir) => {
    const guest = await Guest.make(dir)
    await guest.write('nics', links)
    await mkdir(join(guest.root, 'usbkey/retro'), { recursive: true })
    if (nics) await writeFile(join(guest.root, 'usbkey/retro/nics'), nics)
    const config = `admin_nic=90:b8:d0:01:02:03\nadmin_ip=10.1.2.3\nadmin_netmask=255.255.255.0\netherstub=${etherstub}\n`
    await writeFile(join(guest.root, 'usbkey/config'), config)
    if (conf !== undefined) await writeFile(join(guest.root, 'smartdc/retro/network.conf'), conf)
    if (fw) {
      await mkdir(join(guest.root, 'var/fw'))
      await writeFile(join(guest.root, 'var/fw/ipf.conf'), '# kept\n')
    }
    await guest.run('usr/sbin/net-physical')
    await use(guest)
  })
}
const start = (guest: Guest) => guest.run('lib/svc/method/retro-network', ['start'])
const plumbed = (guest: Guest, link: string) => guest.readState(`run/plumbed/${link}`)

const RULES = `# retro-network begins
map e1000g0 172.16.9.0/24 -> 0/32 portmap tcp/udp auto
map e1000g0 172.16.9.0/24 -> 0/32
# retro-network ends
`

const internal = suite('retro-network, the internal network')
internal('has the global zone as its gateway, with NAT to the outside', () =>
  withMachine({}, async (guest) => {
    const { status, stdout } = await start(guest)
    assert.equal([status, stdout], [0, ''])
    assert.is(await plumbed(guest, 'gw0'), '172.16.9.1 255.255.255.0\n')
    assert.is(await guest.readState('run/rules/ipnat.conf'), RULES)
    assert.is(
      await guest.readState('run/rules/ipf.conf'),
      '# the platform’s\n# retro-network begins\nblock in quick on e1000g0 from 172.16.9.0/24 to any\n# retro-network ends\n',
    )
    assert.is(await guest.readState('run/forwarding'), 'on\n')
    assert.is(await guest.readState('run/ipfilter'), 'online\n')
  }),
)
internal('changes nothing when it runs again', () =>
  withMachine({}, async (guest) => {
    await start(guest)
    const before = await guest.readState('log')
    assert.is((await start(guest)).status, 0)
    const calls = (await guest.readState('log')).slice(before.length)
    assert.not.match(calls, /^(svcadm|dladm create|ifconfig \S+ (plumb|inet|addif))/m)
    assert.is(await guest.read('etc/ipf/ipnat.conf'), RULES)
  }),
)
internal('is right where the platform links to what is in /var/fw', () =>
  withMachine({ fw: true }, async (guest) => {
    assert.is((await start(guest)).status, 0)
    assert.is(await guest.readState('run/rules/ipnat.conf'), RULES)
    assert.match(await guest.readState('run/rules/ipf.conf'), /^# kept\n# retro-network begins\n/)
    const before = (await guest.called('svcadm')).length
    assert.is((await start(guest)).status, 0)
    assert.is((await guest.called('svcadm')).length, before, 'a link is written through')
    assert.not(await guest.read('var/fw/ipnat.conf'), 'and none is made')
  }),
)
for (const [state, calls] of [
  ['disabled', ['svcadm enable -t network/ipfilter']],
  ['offline', []],
  ['offline*', ['svcadm restart network/ipfilter']],
  ['online', ['svcadm restart network/ipfilter']],
  ['maintenance', ['svcadm clear network/ipfilter']],
] as const) {
  internal(`gives its rules to an ipfilter that is ${state}`, () =>
    withMachine({}, async (guest) => {
      await guest.write('run/ipfilter', `${state}\n`)
      assert.is((await start(guest)).status, 0)
      assert.equal(await guest.called('svcadm'), calls)
    }),
  )
}
internal('is none of a zone’s, which sees the same files', () =>
  withMachine({}, async (guest) => {
    await guest.write('zone', '1a2b3c4d-7e57-4ade-a117-0123456789ab\n')
    const before = (await guest.readState('log')).length
    for (const name of ['retro-setup', 'retro-network']) {
      const { status, stdout } = await guest.run(`lib/svc/method/${name}`, ['start'])
      assert.equal([status, stdout], [0, ''])
    }
    assert.is((await guest.readState('log')).slice(before), 'zonename \nzonename \n')
  }),
)
internal('leaves the operator’s own rules, and loads what changed', () =>
  withMachine({}, async (guest) => {
    await writeFile(join(guest.root, 'etc/ipf/ipnat.conf'), 'rdr before\n')
    await start(guest)
    assert.is(await guest.readState('run/rules/ipnat.conf'), `rdr before\n${RULES}`)
    await writeFile(join(guest.root, 'smartdc/retro/network.conf'), "NAT='off'\n")
    assert.is((await start(guest)).status, 0)
    assert.is(await guest.readState('run/rules/ipnat.conf'), 'rdr before\n')
    assert.equal((await guest.called('svcadm')).slice(1), ['svcadm restart network/ipfilter'])
  }),
)
internal('is as network.conf says', () =>
  withMachine(
    {
      conf: `ETHERSTUB='stub7'\nGATEWAY_VNIC=inner3\nSUBNET=192.168.64.0/20\nGATEWAY='192.168.79.254'
NAT_RULES='rdr @EXTERNAL@ 0/0 port 80 -> 192.168.64.5 port 80 tcp
rdr @EXTERNAL@ 0/0 port 443 -> 192.168.64.5 port 443 tcp'\nEXTERNAL=aggr1\n`,
    },
    async (guest) => {
      assert.is((await start(guest)).status, 0)
      assert.is(await plumbed(guest, 'inner3'), '192.168.79.254 255.255.240.0\n')
      assert.equal((await guest.readState('run/rules/ipnat.conf')).split('\n').slice(1, -2), [
        'map aggr1 192.168.64.0/20 -> 0/32 portmap tcp/udp auto',
        'map aggr1 192.168.64.0/20 -> 0/32',
        'rdr aggr1 0/0 port 80 -> 192.168.64.5 port 80 tcp',
        'rdr aggr1 0/0 port 443 -> 192.168.64.5 port 443 tcp',
      ])
      assert.equal(await guest.called('dladm create-etherstub'), [
        'dladm create-etherstub -t retro0',
        'dladm create-etherstub -t stub7',
      ])
    },
  ),
)
internal('has no way out with NAT off', () =>
  withMachine({ conf: 'NAT=off\n' }, async (guest) => {
    assert.is((await start(guest)).status, 0)
    assert.is(await plumbed(guest, 'gw0'), '172.16.9.1 255.255.255.0\n')
    assert.equal([...(await guest.called('svcadm')), ...(await guest.called('routeadm'))], [])
  }),
)
for (const [conf, reason] of [
  ['NAT=maybe', /NAT='maybe' is neither on nor off/],
  ['SUBNET=172.16.9.0', /SUBNET='172\.16\.9\.0' has not the form/],
  ['SUBNET=172.16.300.0/24', /has not the form/],
  ['SUBNET=172.16.9.0/31', /has not the form/],
  ['SUBNET=172.16.9.1/24', /is an address in a network/],
  [
    'GATEWAY=172.16.8.1',
    /GATEWAY='172\.16\.8\.1' is no address for an interface in 172\.16\.9\.0\/24/,
  ],
  ['GATEWAY=172.16.9.255', /is no address for an interface/],
  ['GATEWAY=gw', /GATEWAY='gw' is no address/],
  ['ETHERSTUB=retro', /'retro' is no name of a link/],
  ["EXTERNAL='e1000g0; reboot'", /is no name of a link/],
  ["NAT_RULES='rdr", /Cannot use network\.conf: .*unexpected EOF/],
] as const) {
  internal(`refuses ${conf}, before anything is done`, () =>
    withMachine({ conf: `${conf}\n` }, async (guest) => {
      const { status } = await start(guest)
      assert.is(status, 96)
      assert.match(await guest.read('dev/console'), reason)
      assert.not(await plumbed(guest, 'gw0'))
    }),
  )
}
internal.run()

const interfaces = suite('retro-network, interfaces')
interfaces('of sdc:nics all come up', () =>
  withMachine(
    {
      links: `${LINKS}e1000g1 2:8:20:a:b:c\ne1000g2 2:8:20:a:b:d\n`,
      nics: [
        '90:b8:d0:01:02:03 1 10.1.2.1 1500 10.1.2.3/255.255.255.0 10.1.2.4/255.255.255.0',
        '02:08:20:0a:0b:0c 0 - 9000 192.168.5.2/255.255.0.0 192.168.5.3/255.255.0.0',
        '02:08:20:0a:0b:0d 0 - - dhcp\n',
      ].join('\n'),
    },
    async (guest) => {
      assert.is((await start(guest)).status, 0)
      assert.is(await plumbed(guest, 'e1000g0'), '10.1.2.3 255.255.255.0\n10.1.2.4 255.255.255.0\n')
      assert.is(
        await plumbed(guest, 'e1000g1'),
        '192.168.5.2 255.255.0.0\n192.168.5.3 255.255.0.0\n',
      )
      assert.is(await plumbed(guest, 'e1000g2'), '10.99.0.9 ffffff00\n')
      assert.equal(await guest.called('dladm set-linkprop'), [
        'dladm set-linkprop -t -p mtu=9000 e1000g1',
      ])
      const before = (await guest.readState('log')).length
      assert.is((await start(guest)).status, 0)
      assert.not.match(
        (await guest.readState('log')).slice(before),
        /ifconfig \S+ (plumb|inet|addif|dhcp)/,
      )
    },
  ),
)
interfaces('that are not there are named, and the others come up', () =>
  withMachine(
    {
      links: `${LINKS}e1000g2 2:8:20:a:b:d\n`,
      nics: `${NICS}02:08:20:0a:0b:0c 0 - - dhcp\n02:08:20:0a:0b:0d 0 - - 192.168.5.2/255.255.0.0\n`,
    },
    async (guest) => {
      assert.is((await start(guest)).status, 96)
      assert.match(await guest.read('dev/console'), /Cannot find the interface 02:08:20:0a:0b:0c/)
      assert.is(await plumbed(guest, 'e1000g2'), '192.168.5.2 255.255.0.0\n')
      assert.is(await plumbed(guest, 'gw0'), '172.16.9.1 255.255.255.0\n')
    },
  ),
)
interfaces('have the resolvers of the metadata where DHCP has given none', () =>
  withMachine({}, async (guest) => {
    await start(guest)
    assert.is(
      await guest.read('etc/resolv.conf'),
      'nameserver 8.8.8.8\n',
      'those stay that are there',
    )
    await writeFile(join(guest.root, 'etc/resolv.conf'), 'search local\n')
    await writeFile(join(guest.root, 'usbkey/config'), 'dns_resolvers=1.1.1.1,9.9.9.9\n')
    assert.is((await start(guest)).status, 0)
    assert.is(
      await guest.read('etc/resolv.conf'),
      'search local\nnameserver 1.1.1.1\nnameserver 9.9.9.9\n',
    )
  }),
)
interfaces('need what retro-setup has saved', () =>
  withMachine({ nics: '' }, async (guest) => {
    assert.is((await start(guest)).status, 96)
    assert.match(await guest.read('dev/console'), /there is no \/usbkey\/retro\/nics/)
  }),
)
interfaces('are left alone in a rescue', () =>
  withMachine({}, async (guest) => {
    await guest.write('bootparams', 'noimport=true\n')
    assert.is((await start(guest)).status, 0)
    assert.not(await plumbed(guest, 'gw0'))
  }),
)
interfaces.run()

const IMAGE = '12345678-aaaa-bbbb-cccc-123456789abc'
const zones = suite('create-zone')
async function withZones(
  use: (guest: Guest, create: (...words: string[]) => ReturnType<Guest['run']>) => Promise<void>,
  conf?: string,
) {
  await withMachine(conf === undefined ? {} : { conf }, async (guest) => {
    await guest.write(
      'images',
      `${IMAGE} zone-dataset\n22222222-aaaa-bbbb-cccc-123456789abc zvol\n`,
    )
    await guest.write(
      'zones/one',
      '{\n  "nics": [\n    {\n      "ip": "172.16.9.2"\n    }\n  ]\n}\n',
    )
    await guest.write(
      'zones/two',
      '{\n  "nics": [\n    {\n      "ip": "172.16.9.4",\n      "x": 1\n    }\n  ]\n}\n',
    )
    await use(guest, (...words) => guest.run('smartdc/retro/create-zone', words))
  })
}
zones('gives the next free address and the only image', () =>
  withZones(async (guest, create) => {
    const { status, stdout, stderr } = await create('web')
    assert.equal([status, stderr], [0, ''])
    assert.match(stdout, /web has the address 172\.16\.9\.3\n/)
    assert.equal(JSON.parse(await guest.readState('created')), {
      brand: 'joyent',
      alias: 'web',
      hostname: 'web',
      image_uuid: IMAGE,
      max_physical_memory: 512,
      quota: 10,
      resolvers: ['8.8.8.8'],
      nics: [
        {
          nic_tag: 'retro0',
          ip: '172.16.9.3',
          netmask: '255.255.255.0',
          gateway: '172.16.9.1',
          primary: true,
        },
      ],
    })
  }),
)
zones('takes what it is told, and only shows it with -n', () =>
  withZones(async (guest, create) => {
    const other = '22222222-aaaa-bbbb-cccc-123456789abc'
    const { status, stdout } = await create(
      '-n',
      '-i',
      other,
      '-a',
      '172.16.9.77',
      '-m',
      '2048',
      'db',
    )
    assert.is(status, 0)
    const payload = JSON.parse(stdout)
    assert.equal(
      [payload.image_uuid, payload.nics[0].ip, payload.max_physical_memory],
      [other, '172.16.9.77', 2048],
    )
    assert.not(await guest.readState('created'))
  }),
)
zones('follows network.conf, and the operator’s template', () =>
  withZones(async (guest, create) => {
    await mkdir(join(guest.root, 'opt/custom/etc'), { recursive: true })
    await writeFile(
      join(guest.root, 'opt/custom/etc/zone.json.tmpl'),
      '["@ALIAS@", "@ADDRESS@/@NETMASK@", "@GATEWAY@", "@NIC_TAG@"]\n',
    )
    assert.equal(JSON.parse((await create('-n', 'web')).stdout), [
      'web',
      '10.9.0.2/255.255.255.252',
      '10.9.0.1',
      'stub1',
    ])
    await guest.write('zones/one', '  "ip": "10.9.0.2",\n')
    const full = await create('-n', 'web')
    assert.equal(
      [full.status, full.stderr],
      [1, 'create-zone: There is no free address in 10.9.0.0/30\n'],
    )
  }, 'ETHERSTUB=stub1\nSUBNET=10.9.0.0/30\nGATEWAY=10.9.0.1\n'),
)
zones('refuses wrong words', () =>
  withZones(async (guest, create) => {
    for (const [words, wanted, reason] of [
      [[], 2, /it takes one name/],
      [['a', 'b'], 2, /it takes one name/],
      [['-x', 'a'], 2, /there is no option -x/],
      [['a', '-m'], 2, /it takes one name/],
      [['-m', '2G', 'a'], 2, /'2G' is no number of MiB/],
      [['-i', 'base64', 'a'], 2, /'base64' is no UUID/],
      [['a/b'], 2, /'a\/b' is no name for a host/],
      [['-a', '172.16.9', 'a'], 2, /'172\.16\.9' is no address/],
      [['-a', '172.16.8.9', 'a'], 1, /172\.16\.8\.9 is not in 172\.16\.9\.0\/24/],
      [['-a', '172.16.9.255', 'a'], 1, /is not in/],
      [['-a', '172.16.9.4', 'a'], 1, /172\.16\.9\.4 is taken/],
      [['-a', '172.16.9.1', 'a'], 1, /172\.16\.9\.1 is taken/],
    ] as const) {
      const { status, stderr } = await create(...words)
      assert.is(status, wanted, words.join(' '))
      assert.match(stderr, reason)
    }
    await guest.write('images', '')
    assert.match((await create('a')).stderr, /There is no image for zones/)
    await guest.write('images', `${IMAGE} zone-dataset\n${IMAGE} zone-dataset\n`)
    assert.match((await create('a')).stderr, /say which image with -i/)
    assert.match((await create('--help')).stdout, /^create-zone \[-n\][^]*--help +print this\n/)
  }),
)
zones.run()

const time = suite('ntp')
time('starts ntpd once, without asking whether its servers answer', () =>
  withMachine({}, async (guest) => {
    const ntp = () => guest.run('lib/svc/method/ntp', ['start'])
    assert.is((await ntp()).status, 0)
    assert.is(
      await guest.readState('run/ntpd'),
      `-g -c ${guest.root}/etc/inet/ntp.conf -p ${guest.root}/var/run/ntp.pid\n`,
    )
    assert.match((await ntp()).stdout, /runs already/)
    assert.is((await guest.called('ntpd')).length, 1)
  }),
)
time.run()
