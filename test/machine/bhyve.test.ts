import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createServer, type Server } from 'node:net'
import { freePort } from '../../lib/machine/bhyve-machine.ts'
import {
  type BhyveSpec,
  bhyveWords,
  destroyWords,
  passwordSetting,
  readBhyveEnd,
} from '../../lib/machine/bhyve.ts'

const spec: BhyveSpec = {
  vm: 'hybrid-1',
  vnic: 'build3',
  firmware: 'bios',
  memoryMiB: 2048,
  cpus: 2,
  uuid: '11111111-7e57-4ade-a117-0123456789ab',
  disks: [
    { path: '/dev/zvol/rdsk/zones/z/data/a', format: 'raw' },
    { path: '/w/data.raw', format: 'raw' },
    { path: '/w/more.raw', format: 'raw' },
  ],
  cdroms: ['/w/boot.iso', '/m.iso'],
  sockets: { console: '/s/console', metadata: '/s/metadata' },
}
/** Values of an option, in order. */
const values = (option: string, all: string[]) =>
  all.flatMap((word, i) => (word === option ? [all[i + 1]!] : []))

const words = suite('bhyveWords()')
words('puts every device where SmartOS does', () => {
  assert.equal(values('-s', bhyveWords(spec)), [
    '0:0,hostbridge,model=i440fx',
    '3:0,ahci-cd,/w/boot.iso',
    '3:1,ahci-cd,/m.iso',
    '4:0,virtio-blk,/dev/zvol/rdsk/zones/z/data/a',
    '5:0,virtio-blk,/w/data.raw',
    '5:1,virtio-blk,/w/more.raw',
    '6:0,virtio-net-viona,build3',
    '31,lpc',
  ])
})
words('has the console on com1, the metadata on com2, and waits for who looks at the first', () => {
  assert.equal(values('-l', bhyveWords(spec)), [
    'bootrom,/usr/share/bhyve/uefi-csm-rom.bin',
    'com1,socket,/s/console,wait',
    'com2,socket,/s/metadata',
  ])
})
words('is a SmartOS instance to its guest', () => {
  const all = bhyveWords(spec)
  assert.equal(values('-U', all), [spec.uuid])
  assert.match(values('-B', all)[0]!, /^1,manufacturer=Joyent,product=SmartDC HVM,.*serial=1111/)
  assert.equal([values('-c', all), values('-m', all), all.at(-1)], [['2'], ['2048M'], 'hybrid-1'])
})
words('boots from UEFI by the ROM that it is given', () => {
  const code = { code: '/rom', codeFormat: 'raw', variables: '', variablesFormat: 'raw' }
  const all = bhyveWords({ ...spec, firmware: { code, variables: '' } })
  assert.is(values('-l', all)[0], 'bootrom,/rom')
})
words('shows its screen on an address, with a password that no list of processes shows', () => {
  const screen = { address: '127.0.0.1', port: 5907, password: 'secret', passwordFile: '/s/conf' }
  const all = bhyveWords({ ...spec, screen })
  assert.ok(values('-s', all).includes('30:0,fbuf,vga=on,rfb=127.0.0.1:5907'))
  assert.ok(values('-s', all).includes('30:1,xhci,tablet'))
  assert.equal(values('-k', all), ['/s/conf'])
  assert.not.match(all.join(' '), /secret/)
  assert.is(passwordSetting('secret'), 'pci.0.30.0.password=secret\n')
  const old = bhyveWords({ ...spec, screen: { ...screen, passwordFile: undefined } })
  assert.match(old.join(' '), /rfb=127\.0\.0\.1:5907,password=secret/)
  assert.equal(values('-k', old), [])
})
words('hands on the operator’s words, before the name', () => {
  const all = bhyveWords({ ...spec, extra: ['-o', 'virtio.modern=true'] })
  assert.equal(all.slice(-3), ['-o', 'virtio.modern=true', 'hybrid-1'])
})
words('refuses more devices than a slot has room for', () => {
  assert.throws(() => bhyveWords({ ...spec, cdroms: Array<string>(9).fill('/x.iso') }), /Slot 3/)
})
words('is taken away by its name', () => {
  assert.equal(destroyWords('hybrid-1').slice(-3), ['bhyvectl', '--vm=hybrid-1', '--destroy'])
})
words.run()

const ends = suite('readBhyveEnd()')
for (const [status, stderr, end] of [
  [0, '', { how: 'reboot' }],
  [1, '', { how: 'off' }],
  [2, '', { how: 'off' }],
  [3, 'x', { how: 'failed', says: 'bhyve ended it after a triple fault of the guest' }],
  [
    4,
    'first\nFailed to open /dev/vmm\n',
    { how: 'failed', says: 'bhyve ended with an error: Failed to open /dev/vmm' },
  ],
  [64, '', { how: 'failed', says: 'bhyve ended with status 64' }],
] as const) {
  ends(`status ${status}`, () => {
    assert.equal(readBhyveEnd(status, stderr), end)
  })
}
ends.run()

const ports = suite('freePort()')
ports('passes over one that is taken', async () => {
  const first = await freePort('127.0.0.1')
  const server = await new Promise<Server>((done) => {
    const made = createServer().listen(first, '127.0.0.1', () => done(made))
  })
  try {
    assert.ok((await freePort('127.0.0.1')) > first)
  } finally {
    server.close()
  }
})
ports.run()
