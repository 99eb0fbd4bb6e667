import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c, forgetWrites, hasCopy, superblockPlaces } from '../../lib/disk/superblocks.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const GROUPS = 11
const PER_GROUP = 8 // blocks; enough for a superblock in each

/** A superblock of blocks of 1 KiB, and a count of writes. */
function superblock(): Buffer {
  const block = Buffer.alloc(1024, 0x5a)
  block.writeUInt32LE(1 + GROUPS * PER_GROUP, 0x04)
  block.writeUInt32LE(1, 0x14)
  block.writeUInt32LE(0, 0x18)
  block.writeUInt32LE(PER_GROUP, 0x20)
  block.writeUInt16LE(0xef53, 0x38)
  block.writeUInt32LE(0x401, 0x64)
  block.writeUInt32LE(0, 0x150)
  block.writeBigUInt64LE(958_033n, 0x178)
  return block
}

const blocks = suite('superblocks')
blocks('have the checksum of the standard', () => {
  // The check value of CRC-32C, which is inverted at its end.
  assert.is((crc32c(Buffer.from('123456789')) ^ 0xffffffff) >>> 0, 0xe3069283)
})
blocks('have copies in the groups that ext4 names', () => {
  const groups = Array.from({ length: 130 }, (_, i) => i).filter((i) => hasCopy(i, true))
  assert.equal(groups, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125])
  assert.ok(hasCopy(2, false))
})
blocks('are where their groups begin', () => {
  const groups = [1, 3, 5, 7, 9]
  assert.equal(superblockPlaces(superblock()), [
    1024,
    ...groups.map((group) => (1 + group * PER_GROUP) * 1024),
  ])
})
blocks('forget what was written, each with its own checksum, and nothing else changes', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    const OFFSET = 4096
    const before = Buffer.alloc(OFFSET + (2 + GROUPS * PER_GROUP) * 1024, 0xa5)
    const places = superblockPlaces(superblock())
    for (const [i, place] of places.entries()) {
      const copy = superblock()
      copy.writeUInt16LE(i, 0x5a) // s_block_group_nr
      copy.copy(before, OFFSET + place)
    }
    await writeFile(path, before)
    await forgetWrites(path, OFFSET)
    const file = await open(path)
    const after = await file.readFile()
    await file.close()
    const sums = new Set<number>()
    for (const place of places) {
      const block = after.subarray(OFFSET + place, OFFSET + place + 1024)
      assert.is(block.readBigUInt64LE(0x178), 0n)
      assert.is(block.readUInt32LE(0x3fc), crc32c(block.subarray(0, 0x3fc)))
      sums.add(block.readUInt32LE(0x3fc))
      before.copy(block, 0x178, OFFSET + place + 0x178, OFFSET + place + 0x180)
      before.copy(block, 0x3fc, OFFSET + place + 0x3fc, OFFSET + place + 0x400)
    }
    assert.is(sums.size, places.length)
    assert.ok(after.equals(before))
  }),
)
blocks('are told to be missing', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    await writeFile(path, Buffer.alloc(8192))
    const error = await errorOf(() => forgetWrites(path, 0))
    assert.match(String((error as Error).message), /Cannot find the superblock/)
  }),
)
blocks.run()
