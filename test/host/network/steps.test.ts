import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { setUpSteps, teardownSteps } from '../../../lib/host/network/steps.ts'
import { networkFiles } from '../../../lib/host/network/files.ts'
import type { NetworkState } from '../../../lib/host/network/state.ts'
import { readSubnet } from '../../../lib/host/network/subnet.ts'

const network = { subnet: readSubnet('10.0.0.0/24')!, uplink: 'net0' }
const wanted = networkFiles(network, ['8.8.8.8'])

const nothing: NetworkState = {
  service: undefined,
  etherstubs: [],
  vnics: [{ link: 'net0', over: '?' }],
  addresses: [],
  rules: [],
  files: new Map(),
}
const whole: NetworkState = {
  service: 'online',
  etherstubs: ['hybrid0'],
  vnics: [...nothing.vnics, { link: 'dhcp0', over: 'hybrid0' }],
  addresses: [{ link: 'dhcp0', up: true, address: '10.0.0.1', subnet: network.subnet }],
  rules: [
    'map net0 10.0.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto',
    'map net0 10.0.0.0/24 -> 0.0.0.0/32',
  ],
  files: new Map(Object.entries(wanted)),
}
/** Verbs of the steps, or whom they are about. */
const verbs = (steps: readonly { words: string[] }[]) =>
  steps.map(({ words }) =>
    words
      .filter((word) => word !== 'pfexec')
      .slice(0, 2)
      .map((word) => word.replace(/.*\//, '').replace(/\.\d+\.partial/, ''))
      .join(' '),
  )
const imported = ['svccfg import', 'svcadm enable']
const written = (name: string) => [`tee ${name}`, `mv ${name}`]

const up = suite('setUpSteps()')
for (const [what, change, expected] of [
  ['all is there', {}, []],
  ['the service is off', { service: 'disabled' }, imported],
  ['it waits for others', { service: 'offline' }, ['svcadm disable', ...imported]],
  ['a link is missing', { etherstubs: [] }, ['svcadm disable', ...imported]],
  [
    'a file is another',
    { files: new Map([...whole.files, ['dhcpd.conf', 'x']]) },
    ['svcadm disable', ...written('dhcpd.conf'), ...imported],
  ],
] as const) {
  up(`has what is needed when ${what}`, () => {
    const steps = setUpSteps({ ...whole, ...change } as NetworkState, network, wanted)
    assert.equal(verbs(steps), expected)
  })
}
up('writes every file when there is nothing', () => {
  const steps = setUpSteps(nothing, network, wanted)
  assert.equal(verbs(steps), [
    'mkdir -p',
    ...['dhcpd.conf', 'ipnat.conf', 'manifest.xml', 'network.sh'].flatMap(written),
    ...imported,
  ])
  assert.is(steps.find(({ why }) => why === 'ipnat.conf')!.input, wanted['ipnat.conf'])
})
up.run()

const down = suite('teardownSteps()')
const removed = ['svccfg delete', 'rm -rf', 'rmdir network']
for (const [what, state, expected] of [
  ['there is nothing', nothing, []],
  ['all is there', whole, ['svcadm disable', ...removed]],
  [
    'the service is in maintenance, so that SMF stops nothing',
    { ...whole, service: 'maintenance' },
    ['svcadm disable', 'sh network.sh', ...removed],
  ],
  ['only links are left', { ...whole, service: 'disabled' }, ['sh network.sh', ...removed]],
  [
    'only files are left',
    { ...nothing, files: new Map([['network.sh', wanted['network.sh']]]) },
    ['rm -rf', 'rmdir network'],
  ],
  [
    'a build is on it',
    { ...whole, vnics: [...whole.vnics, { link: 'build3', over: 'hybrid0' }] },
    ['dladm delete-vnic', 'svcadm disable', ...removed],
  ],
  [
    'somebody has a link of that name elsewhere',
    { ...whole, vnics: [...whole.vnics, { link: 'build3', over: 'other0' }] },
    ['svcadm disable', ...removed],
  ],
  [
    'somebody has a file there',
    { ...whole, files: new Map([...whole.files, ['notes', 'x']]) },
    ['svcadm disable', 'svccfg delete', 'rm -rf'],
  ],
] as const) {
  down(`has what is needed when ${what}`, () => assert.equal(verbs(teardownSteps(state)), expected))
}
down('runs no script but ours', () => {
  const files = new Map([...whole.files, ['network.sh', '#!/bin/sh\n']])
  const steps = teardownSteps({ ...whole, service: 'disabled', files })
  assert.equal(verbs(steps), ['svccfg delete', 'rm -rf'])
  assert.not(steps.at(-1)!.words.some((word) => word.endsWith('network.sh')))
})
down('removes no file but ours', () => {
  const files = new Map([...whole.files, ['notes', 'x'], ['dhcpd.conf', '# mine\n']])
  const { words } = teardownSteps({ ...whole, files }).at(-1)!
  assert.equal(
    words.filter((word) => word.startsWith('/opt')).map((word) => word.replace(/.*\//, '')),
    ['ipnat.conf', 'manifest.xml', 'network.sh'],
  )
})
down.run()
