import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { QEMU_FEATURES } from '../../lib/host/qemu.ts'
import { HARDWARE } from '../../lib/machine/hardware.ts'
import { type QemuSpec, qemuWords } from '../../lib/machine/qemu.ts'

const spec: QemuSpec = {
  name: 'bios',
  hypervisor: {
    name: 'qemu',
    program: 'qemu-system-x86_64',
    lacks: new Set(),
    accelerator: { name: 'tcg', cpu: 'qemu64' },
    leash: ['setpriv', '--pdeathsig', 'KILL', '--'],
  },
  hardware: 'kvm',
  firmware: 'bios',
  memoryMiB: 1024,
  cpus: 2,
  uuid: '11111111-7e57-4ade-a117-0123456789ab',
  disks: [
    { path: '/w/a,b.qcow2', format: 'qcow2' },
    { path: '/w/data.raw', format: 'raw' },
  ],
  nic: {
    mac: '90:b8:d0:00:00:01',
    subnet: '10.88.88.0/24',
    gateway: '10.88.88.2',
    resolver: '10.88.88.3',
    closed: true,
    forward: { address: '10.88.88.217', port: 22 },
  },
  sockets: { console: '/s/console', metadata: '/s/metadata', qmp: '/s/qmp' },
}
/** Values of an option, in order. */
const values = (option: string, words: string[]) =>
  words.flatMap((word, i) => (word === option ? [words[i + 1]!] : []))

const words = suite('qemuWords()')
words('says that it is a SmartOS machine', () => {
  const [smbios] = values('-smbios', qemuWords(spec))
  assert.match(smbios!, /^type=1,manufacturer=Joyent,product=SmartDC HVM,/)
  assert.match(smbios!, /uuid=11111111-7e57-4ade-a117-0123456789ab/)
})
words('has the console on the first serial port, the metadata on the second', () => {
  assert.equal(values('-serial', qemuWords(spec)), ['chardev:console', 'chardev:metadata'])
})
words('doubles commas in paths', () => {
  assert.match(values('-drive', qemuWords(spec))[0]!, /^file=\/w\/a,,b\.qcow2,format=qcow2,/)
})
words('lets nothing out of the network, and us in on the loopback', () => {
  const [netdev] = values('-netdev', qemuWords(spec))
  assert.match(netdev!, /restrict=on/)
  assert.match(netdev!, /hostfwd=tcp:127\.0\.0\.1:0-10\.88\.88\.217:22$/)
})
words('lets an installer out', () => {
  const { forward, ...nic } = spec.nic
  const [netdev] = values('-netdev', qemuWords({ ...spec, nic: { ...nic, closed: false } }))
  assert.is(netdev, 'user,id=net0,net=10.88.88.0/24,host=10.88.88.2,dns=10.88.88.3')
  assert.ok(forward)
})
words('boots a kernel with its words as one, from CDs beside it', () => {
  const kernel = { kernel: '/k', initrd: '/i', arguments: ['console=ttyS0', 'auto'] }
  const all = qemuWords({ ...spec, kernel, cdroms: ['/m.iso', '/answers.iso'] })
  assert.equal(values('-append', all), ['console=ttyS0 auto'])
  assert.equal([values('-kernel', all), values('-initrd', all)], [['/k'], ['/i']])
  const drives = values('-drive', all).filter((drive) => drive.includes('.iso'))
  assert.equal(drives, [
    'file=/m.iso,format=raw,if=none,id=cd0,readonly=on',
    'file=/answers.iso,format=raw,if=none,id=cd1,readonly=on',
  ])
})
words('gives no two devices the same turn to boot, and none that of a kernel', () => {
  for (const hardware of HARDWARE) {
    const all = qemuWords({ ...spec, hardware, cdroms: ['/m.iso', '/answers.iso'] })
    const turns = values('-device', all).flatMap(
      (device) => /bootindex=(\d+)/.exec(device)?.[1] ?? [],
    )
    assert.equal(turns, ['2', '3', '1'])
  }
})
words('offers VNC with a password, where it is told to', () => {
  assert.equal(values('-vnc', qemuWords({ ...spec, vnc: '127.0.0.1' })), [
    '127.0.0.1:0,to=99,password=on',
  ])
})
words('puts the operator’s own words last, in their order', () => {
  const extra = ['-device', 'usb-tablet', '-boot', 'once=d']
  assert.equal(qemuWords({ ...spec, extra }).slice(-4), extra)
})
words('ends with the process that started it, and shows itself nowhere', () => {
  const all = qemuWords(spec)
  assert.equal(all.slice(0, 5), ['setpriv', '--pdeathsig', 'KILL', '--', 'qemu-system-x86_64'])
  assert.equal(values('-display', all), ['none'])
  assert.not(all.includes('-vnc'))
})
words('gives UEFI its code read-only, and variables of its own', () => {
  const code = {
    code: '/fw/CODE.qcow2',
    codeFormat: 'qcow2',
    variables: '/fw/VARS.fd',
    variablesFormat: 'raw',
  }
  const drives = values('-drive', qemuWords({ ...spec, firmware: { code, variables: '/w/vars' } }))
  assert.is(drives[0], 'if=pflash,unit=0,format=qcow2,readonly=on,file=/fw/CODE.qcow2')
  assert.is(drives[1], 'if=pflash,unit=1,format=raw,file=/w/vars')
})
words('places devices as each kind of hardware does', () => {
  const devices = (hardware: QemuSpec['hardware']) =>
    values('-device', qemuWords({ ...spec, hardware })).map((device) => {
      const [model, ...rest] = device.split(',')
      return [model, rest.find((one) => one.startsWith('addr='))].filter(Boolean).join(' ')
    })
  assert.equal(devices('kvm').slice(0, 3), ['virtio-blk-pci', 'virtio-blk-pci', 'virtio-net-pci'])
  assert.equal(devices('bhyve').slice(0, 3), [
    'virtio-blk-pci addr=4.0',
    'virtio-blk-pci addr=5.0',
    'virtio-net-pci addr=6.0',
  ])
  assert.equal(devices('legacy').slice(0, 3), ['ide-hd', 'ide-hd', 'e1000'])
})
for (const hardware of HARDWARE) {
  words(`boots the first disk first: ${hardware}`, () => {
    const [first, second] = values('-device', qemuWords({ ...spec, hardware }))
    assert.match(first!, /drive=disk0\b.*,bootindex=2$/)
    assert.match(second!, /drive=disk1\b.*,bootindex=3$/)
  })
}
words('emulates with many threads, and uses KVM when told so', () => {
  assert.equal(values('-accel', qemuWords(spec)), ['tcg,thread=multi'])
  const kvm = qemuWords({
    ...spec,
    hypervisor: { ...spec.hypervisor, accelerator: { name: 'kvm', cpu: 'host' } },
  })
  assert.equal([values('-accel', kvm), values('-cpu', kvm)], [['kvm'], ['host']])
})
words('leaves out what QEMU 0.14 does not know, and says the rest as it did then', () => {
  const hypervisor: QemuSpec['hypervisor'] = {
    name: 'qemu',
    program: '/smartdc/bin/qemu-system-x86_64',
    lacks: new Set(QEMU_FEATURES.filter((name) => name !== 'enable-kvm')),
    accelerator: { name: 'kvm', cpu: 'host' },
    leash: [],
  }
  const kernel = { kernel: '/k', initrd: '/i', arguments: ['a'] }
  const old = { ...spec, hypervisor, kernel, cdroms: ['/m.iso'], vnc: '127.0.0.1' }
  const all = qemuWords(old)
  assert.is(all[0], '/smartdc/bin/qemu-system-x86_64')
  assert.equal(
    [values('-M', all), values('-boot', all), values('-vnc', all)],
    [['pc'], ['order=dc'], ['127.0.0.1:0,to=99,password']],
  )
  assert.ok(all.includes('-enable-kvm'))
  const devices = values('-device', all)
  assert.equal(devices.slice(0, 3), [
    'virtio-blk-pci,drive=disk0',
    'virtio-blk-pci,drive=disk1',
    'ide-drive,drive=cd0,bus=ide.0',
  ])
  assert.match(values('-drive', all)[0]!, /^file=\/w\/a,,b\.qcow2,format=qcow2,if=none,id=disk0$/)
  for (const word of ['-machine', '-accel', '-display', '-no-kvm'])
    assert.not.ok(all.includes(word), word)
  assert.not.match(all.join(' '), /bootindex|discard|unsafe|rng/)
  const screenless = qemuWords({ ...old, vnc: undefined as unknown as string })
  assert.equal(values('-vnc', screenless), ['none'])
})
words('switches KVM off where it is on by itself', () => {
  const lacks = new Set(['accel'] as const)
  const all = qemuWords({ ...spec, hypervisor: { ...spec.hypervisor, lacks } })
  assert.ok(all.includes('-no-kvm'))
})
words('makes a machine of arm64 of what there is for it', () => {
  const code = {
    code: '/fw/AAVMF_CODE.fd',
    codeFormat: 'raw',
    variables: '/fw/AAVMF_VARS.fd',
    variablesFormat: 'raw',
  }
  const all = qemuWords({
    ...spec,
    hardware: 'virt',
    firmware: { code, variables: '/w/vars' },
    hypervisor: {
      ...spec.hypervisor,
      program: 'qemu-system-aarch64',
      accelerator: { name: 'tcg', cpu: 'cortex-a72' },
    },
    cdroms: ['/seed.iso'],
  })
  assert.equal(
    [values('-machine', all), values('-cpu', all)],
    [['virt,gic-version=max'], ['cortex-a72']],
  )
  assert.match(values('-drive', all)[0]!, /^if=pflash,.*AAVMF_CODE\.fd$/)
  assert.equal(values('-serial', all), ['chardev:console'])
  assert.not(all.includes('-vga'))
  const models = values('-device', all).map((device) => device.split(',')[0])
  assert.equal(models, [
    'virtio-gpu-pci',
    ...['virtio-blk-pci', 'virtio-blk-pci', 'virtio-blk-pci'],
    ...['virtio-net-pci', 'virtio-rng-pci'],
  ])
  assert.is(values('-drive', all).at(-1), 'file=/seed.iso,format=raw,if=none,id=cd0,readonly=on')
})
words.run()
