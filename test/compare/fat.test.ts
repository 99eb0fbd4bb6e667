import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fatFacts } from '../../lib/compare/fat.ts'
import { Random } from '../random.ts'

/** As mkfs.vfat lays it out. */
function bootSector(is32: boolean): Buffer {
  const sector = Buffer.alloc(512)
  sector.write('\xeb\x58\x90mkfs.fat', 'latin1')
  sector.writeUInt16LE(512, 11)
  sector.writeUInt8(2, 13)
  sector.writeUInt16LE(32, 14)
  sector.writeUInt8(2, 16)
  sector.writeUInt16LE(is32 ? 0 : 250, 22)
  sector.writeUInt32LE(262_144, 32)
  if (is32) sector.writeUInt32LE(1016, 36)
  const own = is32 ? 64 : 36
  sector.writeUInt32LE(0x0abcdef1, own + 3)
  sector.write(`ESP        ${is32 ? 'FAT32   ' : 'FAT16   '}`, own + 7)
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

const facts = suite('fatFacts()')
for (const is32 of [true, false]) {
  facts(`reads the fields of ${is32 ? 'FAT32' : 'FAT16'} where they are`, () => {
    const found = new Map(fatFacts(bootSector(is32)))
    assert.is(found.get('volume id'), '0abcdef1')
    assert.is(found.get('label'), 'ESP')
    assert.is(found.get('kind'), is32 ? 'FAT32' : 'FAT16')
    assert.is(found.get('made by'), 'mkfs.fat')
    assert.is(found.get('size'), '262144 sectors')
    assert.is(found.get('table size'), `${is32 ? 1016 : 250} sectors`)
  })
}
facts('knows that something is no FAT', () => {
  const noSignature = bootSector(true)
  noSignature[510] = 0
  const noSectors = bootSector(true)
  noSectors.writeUInt16LE(7, 11)
  for (const sector of [noSignature, noSectors, Buffer.alloc(512), bootSector(true).subarray(1)]) {
    assert.is(fatFacts(sector), undefined)
  }
  assert.is(fatFacts(new Random(1).bytes(512)), undefined)
})
facts.run()
