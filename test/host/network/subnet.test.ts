import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  addressIn,
  addressNumber,
  addressText,
  netmaskOf,
  overlap,
  parseSubnet,
  readSubnet,
  subnetAround,
  subnetText,
} from '../../../lib/host/network/subnet.ts'

const numbers = suite('addressNumber()')
for (const text of ['0.0.0.0', '10.0.0.1', '192.168.255.7', '255.255.255.255']) {
  numbers(`reads ${text}`, () => assert.is(addressText(addressNumber(text)!), text))
}
for (const text of ['', '10.0.0', '10.0.0.256', '10.0.0.1.2', '::1', 'a.b.c.d']) {
  numbers(`does not read "${text}"`, () => assert.is(addressNumber(text), undefined))
}
numbers.run()

const subnets = suite('parseSubnet()')
for (const [text, mask, last] of [
  ['10.0.0.0/24', '255.255.255.0', '10.0.0.255'],
  ['172.16.0.0/12', '255.240.0.0', '172.31.255.255'],
  ['192.168.7.64/26', '255.255.255.192', '192.168.7.127'],
] as const) {
  subnets(`reads ${text}`, () => {
    const subnet = parseSubnet(text)
    assert.is(subnetText(subnet), text)
    assert.is(netmaskOf(subnet), mask)
    assert.is(addressIn(subnet, 2 ** (32 - subnet.prefix) - 1), last)
  })
}
for (const [text, reason] of [
  ['10.0.0.1/24', 'not its first address'],
  ['10.0.0.0/27', 'no room for 32 builds'],
  ['0.0.0.0/0', 'everything'],
  ['10.0.0.0', 'no prefix'],
  ['fd00::/64', 'not IPv4'],
] as const) {
  subnets(`refuses ${text}: ${reason}`, () => {
    assert.throws(() => parseSubnet(text), /^Cannot use subnet /)
  })
}
subnets.run()

const overlaps = suite('overlap()')
for (const [one, other, expected] of [
  ['10.0.0.0/24', '10.0.0.0/8', true],
  ['10.0.0.0/8', '10.0.0.0/24', true],
  ['10.0.0.0/24', '10.0.0.128/25', true],
  ['10.0.0.0/24', '10.0.1.0/24', false],
  ['255.255.255.0/24', '192.168.0.0/16', false],
] as const) {
  overlaps(`${one} and ${other}: ${expected}`, () => {
    assert.is(overlap(readSubnet(one)!, readSubnet(other)!), expected)
  })
}
overlaps('knows the subnet of an address', () => {
  const around = (text: string, prefix: number) =>
    subnetText(subnetAround(addressNumber(text)!, prefix))
  assert.is(around('192.168.1.20', 24), '192.168.1.0/24')
  assert.is(around('172.16.5.6', 20), '172.16.0.0/20')
  assert.is(around('8.8.8.8', 32), '8.8.8.8/32')
})
overlaps.run()
