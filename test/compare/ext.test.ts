import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseSuperblock } from '../../lib/compare/ext.ts'

/** Of e2fsprogs 1.47, shortened. */
const TEXT = `Filesystem volume name:   rootfs
Last mounted on:          <not available>
Filesystem UUID:          c547297e-d38f-46d2-ba12-9925e7b40ac5
Filesystem magic number:  0xEF53
Filesystem features:      has_journal ext_attr metadata_csum
Filesystem OS type:       Linux
Filesystem created:       Mon Nov 30 04:07:41 2026
Last mount time:          n/a
Last write time:          Mon Nov 30 04:07:41 2026
Last checked:             Mon Nov 30 04:07:41 2026
Check interval:           0 (<none>)
Directory Hash Seed:      6f0f3c4b-1c0f-4c1c-8a83-0a0a1b2c3d4e
Checksum type:            crc32c
Checksum:                 0x1f2e3d4c
Journal features:         (none)

`
const superblock = suite('parseSuperblock()')
superblock('takes name and value of each line, blanks and colons within kept', () => {
  const facts = new Map(parseSuperblock(TEXT))
  assert.is(facts.get('Filesystem features'), 'has_journal ext_attr metadata_csum')
  assert.is(facts.get('Filesystem created'), 'Mon Nov 30 04:07:41 2026')
  assert.is(facts.get('Directory Hash Seed'), '6f0f3c4b-1c0f-4c1c-8a83-0a0a1b2c3d4e')
  assert.not(facts.has('Filesystem magic number'))
  assert.is(facts.size, 13)
})
superblock('without times, and what follows from them', () => {
  const facts = new Map(parseSuperblock(TEXT, { ignoreTimes: true }))
  const all = new Map(parseSuperblock(TEXT))
  assert.equal(
    [...all.keys()].filter((name) => !facts.has(name)),
    ['Filesystem created', 'Last mount time', 'Last write time', 'Last checked', 'Checksum'],
  )
})
superblock('something else has none', () => assert.equal(parseSuperblock(''), []))
superblock.run()
