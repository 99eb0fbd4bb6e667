import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  extentsOf,
  hyphenated,
  label,
  lvmCrc,
  metadataHeader,
  metadataText,
  physicalVolume,
  type VolumeGroup,
  writeVolumeGroup,
} from '../../lib/disk/lvm.ts'
import { inTemporaryDir } from '../temporary.ts'

const MIB = 1024 ** 2

/**
 * As pvcreate, vgcreate and lvcreate of LVM 2.03.16 made one on a device of 129 MiB: identifiers,
 * sizes and checksums of these tests are what `pvck --dump headers` showed of it.
 */
const theirs: VolumeGroup = {
  name: 'rootvg',
  volume: 'rootlv',
  id: '0wmrfNauNRsFdfaTiXA22jOLNqoTCARn',
  physicalId: 'fWPhVbS2HJ2J0JTW30Eif6cWUH6Y5otK',
  volumeId: 'jRBcGe4qDgm2ifkv8pMg9totCfR6O4tg',
  bytes: 129 * MIB,
}

const writing = suite('lvm')
writing('lvmCrc() is the CRC-32 of zip files with another beginning and end', () => {
  assert.is(lvmCrc(new Uint8Array()), 0xf597a6cf)
  // 0xf597a6cf ^ 0xffffffff, brought in as if it were the first four bytes, gives the usual CRC.
  const usual = Buffer.from('123456789')
  usual.writeUInt32LE((usual.readUInt32LE() ^ 0xf597a6cf ^ 0xffffffff) >>> 0)
  assert.is((lvmCrc(usual) ^ 0xffffffff) >>> 0, 0xcbf43926)
})
writing('label() is what pvcreate wrote, checksum included', () => {
  const sector = label(theirs)
  assert.is(sector.length, 512)
  assert.is(sector.toString('latin1', 0, 8), 'LABELONE')
  assert.is(sector.readUInt32LE(16), 0xc1bc1496)
  assert.is(sector.toString('latin1', 32, 64), theirs.physicalId)
  assert.is(sector.readBigUInt64LE(64), 135266304n)
})
writing('metadataHeader() is what lvcreate wrote, checksum included', () => {
  const sector = metadataHeader({ bytes: 1242, crc: 0xf8a0e870 }, 1536)
  assert.is(sector.length, 512)
  assert.is(sector.readUInt32LE(0), 0xe7a0ac68)
})
writing('hyphenated() writes identifiers as people read them', () => {
  assert.is(hyphenated(theirs.physicalId), 'fWPhVb-S2HJ-2J0J-TW30-Eif6-cWUH-6Y5otK')
})
writing('extentsOf() leaves out what is no whole extent', () => {
  assert.is(extentsOf(129 * MIB), 32)
  assert.is(extentsOf(129 * MIB - 512), 31)
  assert.is(extentsOf(132 * MIB), 32)
  assert.is(extentsOf(133 * MIB), 33)
})
writing('metadataText() says what lvcreate said, line by line', async () => {
  const fixture = new URL('../fixtures/lvm-metadata.txt', import.meta.url)
  // Who made it, and when, is another matter.
  const bare = (text: string) =>
    text
      .replaceAll(/^# .*$/gm, '#')
      .replaceAll(/\t# .*$/gm, '')
      .replaceAll(/^(description|creation_host|device|seqno) = .*$/gm, '$1')
  assert.is(bare(metadataText(theirs, 1795286411)), bare(await readFile(fixture, 'utf8')))
})
writing('physicalVolume() is the same for the same, and says where its text is', () => {
  const volume = physicalVolume(theirs, 1)
  assert.equal(volume, physicalVolume(theirs, 1))
  assert.not(volume.equals(physicalVolume(theirs, 2)))
  const area = volume.subarray(4096)
  const [offset, bytes] = [area.readBigUInt64LE(40), area.readBigUInt64LE(48)].map(Number)
  const text = area.subarray(offset, offset! + bytes!)
  assert.is(text.toString(), `${metadataText(theirs, 1)}\0`)
  assert.is(area.readUInt32LE(56), lvmCrc(text))
})
writing('writeVolumeGroup() touches nothing before and behind it', () =>
  inTemporaryDir(async (dir) => {
    const disk = join(dir, 'disk')
    await writeFile(disk, Buffer.alloc(2 * MIB, 'x'))
    await writeVolumeGroup(disk, MIB, theirs, 1)
    const volume = physicalVolume(theirs, 1)
    const now = await readFile(disk)
    assert.is(now.length, 2 * MIB)
    assert.ok(now.subarray(MIB, MIB + volume.length).equals(volume))
    assert.ok(now.subarray(0, MIB).every((byte) => byte === 0x78))
    assert.ok(now.subarray(MIB + volume.length).every((byte) => byte === 0x78))
  }),
)
writing.run()
