import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import {
  type BuildNetwork,
  dhcpdConf,
  FORWARDING_NOTE,
  guestNameservers,
  INSTANCE,
  ipnatConf,
  isOurs,
  manifestXml,
  methodScript,
  NETWORK_DIR,
  networkFiles,
  readNetwork,
  RUN_DIR,
} from '../../../lib/host/network/files.ts'
import { DHCPD } from '../../../lib/host/network/needs.ts'
import { allSlots, ETHERSTUB, GATEWAY_VNIC, SLOTS } from '../../../lib/host/network/slots.ts'
import { readSubnet } from '../../../lib/host/network/subnet.ts'

const network: BuildNetwork = { subnet: readSubnet('10.0.0.0/24')!, uplink: 'net0' }

const texts = suite('networkFiles()')
texts('gives addresses to known guests only, each its own', () => {
  const text = dhcpdConf(network, ['8.8.8.8', '8.8.4.4'])
  assert.match(text, /^deny unknown-clients;$/m)
  assert.match(text, /^subnet 10\.0\.0\.0 netmask 255\.255\.255\.0 \{$/m)
  assert.match(text, /^ {2}option routers 10\.0\.0\.1;$/m)
  assert.match(text, /^ {2}option domain-name-servers 8\.8\.8\.8, 8\.8\.4\.4;$/m)
  assert.not.match(text, /range/)
  const hosts = [
    ...text.matchAll(/^host (\S+) \{ hardware ethernet (\S+); fixed-address (\S+); \}$/gm),
  ]
  assert.is(hosts.length, SLOTS)
  assert.equal(hosts[0]!.slice(1), ['build0', '02:68:69:6d:67:00', '10.0.0.10'])
  assert.equal(hosts[31]!.slice(1), ['build31', '02:68:69:6d:67:1f', '10.0.0.41'])
})
texts('translates the whole subnet, with ports and without', () => {
  assert.equal(ipnatConf(network).split('\n').slice(1), [
    'map net0 10.0.0.0/24 -> 0/32 portmap tcp/udp auto',
    'map net0 10.0.0.0/24 -> 0/32',
    '',
  ])
})
texts('hands the address to the method', () => {
  const text = manifestXml({ ...network, subnet: readSubnet('172.16.0.0/16')! })
  assert.match(text, /exec="\/bin\/sh \S+\/network\.sh start 172\.16\.0\.1 255\.255\.0\.0"/)
  assert.match(text, /exec="\/bin\/sh \S+\/network\.sh stop"/)
})
texts('marks each of them', () => {
  for (const [name, text] of Object.entries(networkFiles(network, ['8.8.8.8']))) {
    assert.ok(isOurs(name, text), name)
  }
  assert.not(isOurs('dhcpd.conf', '# mine\n'))
  assert.not(isOurs('dhcpd.conf', '\n\n# Written by hybrid-images (setup-build-network)'))
  assert.ok(isOurs('dhcpd.conf.4711.partial', ''))
})
texts('is read again from what it wrote', () => {
  const other = { subnet: readSubnet('10.99.0.0/20')!, uplink: 'net1' }
  const files = new Map(Object.entries(networkFiles(other, ['8.8.8.8'])))
  assert.equal(readNetwork(files), other)
  assert.is(readNetwork(new Map()), undefined)
  assert.is(readNetwork(new Map([['ipnat.conf', 'map net0 10.0.0.0/24 -> 0/32\n']])), undefined)
})
texts('the method has the same names in it', async () => {
  const script = methodScript()
  assert.is(
    script,
    await readFile(new URL('../../../lib/host/network/network.sh', import.meta.url), 'utf8'),
  )
  for (const line of [
    `here=${NETWORK_DIR}`,
    `run=${RUN_DIR}`,
    `switch=${ETHERSTUB}`,
    `link=${GATEWAY_VNIC}`,
    `dhcpd=${DHCPD}`,
    `forwarding_note=$here/${FORWARDING_NOTE}`,
    `# Method of ${INSTANCE.replace(':default', '')}. "start ADDRESS NETMASK" makes what is missing and keeps`,
  ]) {
    assert.ok(script.split('\n').includes(line), line)
  }
})
texts.run()

const slots = suite('allSlots()')
slots('has MACs and addresses once each, that are not the gateway’s or the last', () => {
  for (const text of ['10.0.0.0/24', '192.168.7.64/26']) {
    const all = allSlots(readSubnet(text)!)
    assert.is(new Set(all.map(({ mac }) => mac)).size, SLOTS)
    assert.is(new Set(all.map(({ address }) => address)).size, SLOTS)
  }
  assert.is(allSlots(readSubnet('192.168.7.64/26')!).at(-1)!.address, '192.168.7.105')
})
slots('has MACs that are locally administered, and of one machine', () => {
  for (const { mac } of allSlots(network.subnet)) {
    assert.is(Number.parseInt(mac.slice(0, 2), 16) & 3, 2)
  }
})
slots.run()

const servers = suite('guestNameservers()')
servers('leaves out what guests cannot reach', () => {
  const text =
    '# a\ndomain x\nnameserver 127.0.0.1\nnameserver\t8.8.8.8 \nnameserver ::1\n nameserver 1.1.1.1\n'
  assert.equal(guestNameservers(text), ['8.8.8.8', '1.1.1.1'])
  assert.equal(guestNameservers(''), [])
})
servers.run()
