import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findQemu, QEMU_FEATURES, qemuTool, readQemuFeatures } from '../../lib/host/qemu.ts'

const having =
  (...there: string[]) =>
  (name: string) =>
    there.includes(name) ? name : undefined

const finding = suite('findQemu()')
finding('takes SmartOS’ own first, then the usual one', () => {
  const kvm = '/usr/libexec/qemu-kvm'
  const smartos = '/smartdc/bin/qemu-system-x86_64'
  assert.is(findQemu(undefined, having(smartos, kvm, 'qemu-system-x86_64')), smartos)
  assert.is(findQemu(undefined, having(kvm, 'qemu-system-x86_64')), 'qemu-system-x86_64')
  assert.is(findQemu(undefined, having(kvm)), kvm)
  assert.is(findQemu(undefined, having()), undefined)
})
finding('takes the one that is named, and no other', () => {
  assert.is(findQemu('/opt/qemu', having('/opt/qemu', 'qemu-system-x86_64')), '/opt/qemu')
  assert.throws(
    () => findQemu('/opt/qemu', having('qemu-system-x86_64')),
    /Cannot find QEMU as "\/opt\/qemu"/,
  )
})
finding('takes one for the architecture that is asked for', () => {
  const both = having('qemu-system-x86_64', 'qemu-system-aarch64')
  assert.is(findQemu(undefined, both, 'arm64'), 'qemu-system-aarch64')
  assert.is(findQemu(undefined, having('qemu-system-x86_64'), 'arm64'), undefined)
  assert.is(qemuTool('arm64').apt, 'qemu-system-arm')
})
finding.run()

/** What 0.14 says, as far as it is looked at. */
const OLD_HELP = `QEMU PC emulator version 0.14.1, Copyright (c) 2003-2008 Fabrice Bellard
-M machine      select emulated machine (-M ? for list)
-cpu cpu        select CPU (-cpu ? for list)
-boot [order=drives][,once=drives][,menu=on|off]
-m megs         set virtual RAM size to megs MB [default=128]
-drive [file=file][,if=type][,bus=n][,unit=m][,media=d][,index=i]
       [,cache=writethrough|writeback|none|unsafe][,format=f]
-enable-kvm     enable KVM full virtualization support
-no-kvm         disable KVM hardware virtualization
-vnc display    start a VNC server on display
`
const OLD_DEVICES = `name "ide-drive", bus IDE, desc "virtual ATA disk"
name "virtio-blk-pci", bus PCI, alias "virtio-blk"
virtio-blk-pci.drive=drive
`
const NEW_HELP = `QEMU emulator version 7.2
-machine [type=]name[,prop[=value][,...]]
-accel [accel=]accelerator[,prop[=value][,...]]
-blockdev [driver=]driver[,node-name=N][,discard=ignore|unmap]
       [,cache=writethrough|writeback|none|directsync|unsafe][,format=f]
-m [size=]megs[,slots=n,maxmem=size]
-enable-kvm     enable KVM full virtualization support
-display none
`
const NEW_DEVICES = `name "ide-cd", bus IDE, desc "virtual IDE CD-ROM"
name "virtio-rng-pci", bus PCI, alias "virtio-rng"
name "isa-debug-exit", bus ISA
  bootindex=<int32>
`

const asking = suite('readQemuFeatures()')
asking('finds what an old one lacks', () => {
  assert.equal(
    [...readQemuFeatures(OLD_HELP, OLD_DEVICES)],
    QEMU_FEATURES.filter((name) => !['enable-kvm', 'no-kvm', 'unsafe cache'].includes(name)),
  )
})
asking('finds nothing that a new one lacks, but what was taken away', () => {
  assert.equal([...readQemuFeatures(NEW_HELP, NEW_DEVICES)], ['no-kvm'])
})
asking.run()
