import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DEFAULTS } from '../../../lib/host/network/files.ts'
import {
  isUp,
  type NetworkState,
  readAddresses,
  readFields,
  readRules,
} from '../../../lib/host/network/state.ts'
import { readSubnet, subnetText } from '../../../lib/host/network/subnet.ts'

const IFCONFIG = `lo0: flags=2001000849<UP,LOOPBACK,RUNNING,MULTICAST,IPv4,VIRTUAL> mtu 8232 index 1
\tinet 127.0.0.1 netmask ff000000 
net0: flags=40001000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4,L3PROTECT> mtu 1500 index 2
\tinet 192.168.1.20 netmask ffffff00 broadcast 192.168.1.255
\tether 90:b8:d0:11:22:33 
net0:1: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2
\tinet 172.16.5.6 netmask fffff000 broadcast 172.16.15.255
dhcp0: flags=1000842<BROADCAST,RUNNING,MULTICAST,IPv4> mtu 9000 index 3
\tinet 10.0.0.1 netmask ffffff00 broadcast 10.0.0.255
net1: flags=1000842<BROADCAST,RUNNING,MULTICAST,IPv4> mtu 9000 index 4
\tinet 0.0.0.0 netmask 0 
lo0: flags=2002000849<UP,LOOPBACK,RUNNING,MULTICAST,IPv6,VIRTUAL> mtu 8252 index 1
\tinet6 ::1/128 
`

const reading = suite('readAddresses()')
reading('reads what ifconfig says of IPv4', () => {
  assert.equal(
    readAddresses(IFCONFIG).map(({ link, up, address, subnet }) => [
      link,
      up,
      address,
      subnetText(subnet),
    ]),
    [
      ['lo0', true, '127.0.0.1', '127.0.0.0/8'],
      ['net0', true, '192.168.1.20', '192.168.1.0/24'],
      ['net0', true, '172.16.5.6', '172.16.0.0/20'],
      ['dhcp0', false, '10.0.0.1', '10.0.0.0/24'],
    ],
  )
})
reading.run()

const fields = suite('readFields()')
fields('leaves a MAC whole', () => {
  assert.equal(readFields(String.raw`build3:hybrid0:2\:68\:69\:6d\:67\:3`), [
    'build3',
    'hybrid0',
    '2:68:69:6d:67:3',
  ])
  assert.equal(readFields('net0:?'), ['net0', '?'])
})
fields.run()

const RULES = [
  'map net0 10.0.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto',
  'map net0 10.0.0.0/24 -> 0.0.0.0/32',
]
const rules = suite('readRules()')
rules('leaves out what is translated just now', () => {
  const text = `List of active MAP/Redirect filters:\n${RULES.join('\n')}\n\nList of active sessions:\nMAP 10.0.0.10 39514 <- -> 192.168.1.20 1027 [1.1.1.1 53]\n`
  assert.equal(readRules(text), RULES)
})
rules.run()

const network = { subnet: readSubnet(DEFAULTS.subnet)!, uplink: DEFAULTS.uplink }
const whole: NetworkState = {
  service: 'online',
  etherstubs: ['hybrid0'],
  vnics: [{ link: 'dhcp0', over: 'hybrid0' }],
  addresses: readAddresses(IFCONFIG.replace('1000842<BROADCAST', '1000843<UP,BROADCAST')),
  rules: RULES,
  files: new Map(),
}
const up = suite('isUp()')
for (const [what, change, expected] of [
  ['all is there', {}, true],
  ['the service is in maintenance', { service: 'maintenance' }, false],
  ['the switch is missing', { etherstubs: [] }, false],
  ['dhcp0 is on another switch', { vnics: [{ link: 'dhcp0', over: 'images0' }] }, false],
  ['dhcp0 is down', { addresses: readAddresses(IFCONFIG) }, false],
  ['half of the rules are missing', { rules: RULES.slice(1) }, false],
] as const) {
  up(`${expected} when ${what}`, () => {
    assert.is(isUp({ ...whole, ...change } as NetworkState, network), expected)
  })
}
up('false for another subnet', () => {
  assert.is(isUp(whole, { ...network, subnet: readSubnet('10.0.0.0/25')! }), false)
  assert.is(isUp(whole, { ...network, uplink: 'net1' }), false)
})
up.run()
