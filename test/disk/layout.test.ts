import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { seededGuid, seededLvmId, seededUuid, seededVolumeId } from '../../lib/disk/identity.ts'
import { LAYOUTS, makeLayout, sfdiskScript, SMALLEST_DISK } from '../../lib/disk/layout.ts'

const MIB = 1024 ** 2

const layouts = suite('makeLayout()')
for (const name of LAYOUTS) {
  for (const bytes of [SMALLEST_DISK, 10 * 1024 ** 3, 1024 ** 4]) {
    layouts(`${name} fills ${bytes} bytes without gaps, at whole MiB, room for both tables`, () => {
      const { bios: place, esp, system } = makeLayout(name, bytes, 'x')
      const bios = place!
      assert.is(bios.offset, MIB)
      assert.is(esp.offset, bios.offset + bios.length)
      assert.is(system.offset, esp.offset + esp.length)
      assert.is(system.offset + system.length, bytes - MIB)
      for (const { offset, length } of [bios, esp, system]) assert.is((offset + length) % MIB, 0)
    })
  }
}
layouts('plain has the root file system on the last partition', () => {
  const { system, root, group } = makeLayout('plain', SMALLEST_DISK, 'x')
  assert.equal([root.offset, root.length], [system.offset, system.length])
  assert.is(root.device, `UUID=${root.fsUuid}`)
  assert.is(group, undefined)
})
for (const more of [0, 1, 2, 3]) {
  layouts(`lvm has it on whole extents, ${more} MiB beyond them`, () => {
    const { system, root, group } = makeLayout('lvm', SMALLEST_DISK + more * MIB, 'x')
    assert.is(root.offset, system.offset + MIB)
    assert.is(root.length % (4 * MIB), 0)
    const left = system.length - MIB - root.length
    assert.ok(left >= 0 && left < 4 * MIB, `${left}`)
    assert.is(group?.bytes, system.length)
    assert.is(root.device, '/dev/mapper/rootvg-rootlv')
  })
}
layouts('has no place for BIOS where UEFI alone boots', () => {
  const { bios, esp, system, root } = makeLayout('plain', SMALLEST_DISK, 'x', false)
  assert.is(bios, undefined)
  assert.equal([esp.number, esp.offset], [1, MIB])
  assert.equal([system.number, system.offset], [2, esp.offset + esp.length])
  assert.is(root.offset + root.length, SMALLEST_DISK - MIB)
})
layouts.run()

const scripts = suite('sfdiskScript()')
scripts('is what sfdisk reads, in sectors', () => {
  const lines = sfdiskScript(makeLayout('plain', 10 * 1024 ** 3, 'x')).split('\n')
  assert.is(lines[0], 'label: gpt')
  assert.match(lines[4]!, /^start=2048, size=2048, type=21686148-.*, name=bios$/)
  assert.match(lines[5]!, /^start=4096, size=262144, type=C12A7328-.*, name=esp$/)
  assert.match(lines[6]!, /^start=266240, size=20703232, type=0FC63DAF-.*, name=root$/)
})
scripts('has a partition of the type of LVM for layout lvm', () => {
  const lines = sfdiskScript(makeLayout('lvm', 10 * 1024 ** 3, 'x')).split('\n')
  assert.match(lines[6]!, /^start=266240, size=20703232, type=E6D6D379-.*, name=lvm$/)
})
scripts('has two partitions where UEFI alone boots', () => {
  const lines = sfdiskScript(makeLayout('lvm', 10 * 1024 ** 3, 'x', false)).split('\n')
  assert.match(lines[4]!, /^start=2048, .*, name=esp$/)
  assert.match(lines[5]!, /^start=264192, .*, name=lvm$/)
  assert.is(lines[6], '')
})
scripts.run()

const seeds = suite('seededUuid(), seededVolumeId(), seededGuid(), seededLvmId()')
seeds('give the same for the same, and another for each use', () => {
  assert.is(seededUuid('a', 'root'), seededUuid('a', 'root'))
  assert.is.not(seededUuid('a', 'root'), seededUuid('a', 'esp'))
  assert.is.not(seededUuid('a', 'root'), seededUuid('b', 'root'))
  assert.is(seededGuid('a', 's'), seededGuid('a', 's'))
})
seeds('have their shapes', () => {
  const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (let i = 0; i < 100; i++) {
    assert.match(seededUuid(String(i), 'x'), shape)
    assert.match(seededVolumeId(String(i), 'x'), /^[0-9a-f]{8}$/)
    assert.ok(seededGuid(String(i), 'x') > 0n)
    assert.match(seededLvmId(String(i), 'x'), /^[0-9a-zA-Z]{32}$/)
  }
})
seeds.run()
