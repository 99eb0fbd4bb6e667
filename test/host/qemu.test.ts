import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findQemu } from '../../lib/host/qemu.ts'

const having =
  (...there: string[]) =>
  (name: string) =>
    there.includes(name) ? name : undefined

const finding = suite('findQemu()')
finding('takes the usual one first, then those of other systems', () => {
  const kvm = '/usr/libexec/qemu-kvm'
  const smartos = '/smartdc/bin/qemu-system-x86_64'
  assert.is(findQemu(undefined, having(smartos, kvm, 'qemu-system-x86_64')), 'qemu-system-x86_64')
  assert.is(findQemu(undefined, having(smartos, kvm)), kvm)
  assert.is(findQemu(undefined, having(smartos)), smartos)
  assert.is(findQemu(undefined, having()), undefined)
})
finding('takes the one that is named, and no other', () => {
  assert.is(findQemu('/opt/qemu', having('/opt/qemu', 'qemu-system-x86_64')), '/opt/qemu')
  assert.throws(
    () => findQemu('/opt/qemu', having('qemu-system-x86_64')),
    /Cannot find QEMU as "\/opt\/qemu"/,
  )
})
finding.run()
