import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { seededGuid, seededUuid, seededVolumeId } from '../../lib/disk/identity.ts'
import { plainLayout, sfdiskScript, SMALLEST_DISK } from '../../lib/disk/layout.ts'

const MIB = 1024 ** 2

const layouts = suite('plainLayout()')
for (const bytes of [SMALLEST_DISK, 10 * 1024 ** 3, 1024 ** 4]) {
  layouts(`fills ${bytes} bytes without gaps, at whole MiB, room for both tables`, () => {
    const { bios, esp, root } = plainLayout(bytes, 'x')
    assert.is(bios.offset, MIB)
    assert.is(esp.offset, bios.offset + bios.length)
    assert.is(root.offset, esp.offset + esp.length)
    assert.is(root.offset + root.length, bytes - MIB)
    for (const { offset, length } of [bios, esp, root]) assert.is((offset + length) % MIB, 0)
  })
}
layouts.run()

const scripts = suite('sfdiskScript()')
scripts('is what sfdisk reads, in sectors', () => {
  const lines = sfdiskScript(plainLayout(10 * 1024 ** 3, 'x')).split('\n')
  assert.is(lines[0], 'label: gpt')
  assert.match(lines[4]!, /^start=2048, size=2048, type=21686148-.*, name=bios$/)
  assert.match(lines[5]!, /^start=4096, size=262144, type=C12A7328-.*, name=esp$/)
  assert.match(lines[6]!, /^start=266240, size=20703232, type=0FC63DAF-.*, name=root$/)
})
scripts.run()

const seeds = suite('seededUuid(), seededVolumeId(), seededGuid()')
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
  }
})
seeds.run()
