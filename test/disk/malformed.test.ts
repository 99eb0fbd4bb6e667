/** Disks as a stranger could have written them, and what of ours has to hold for any size. */
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Block, type Blocks, flatten, writeSparse } from '../../lib/disk/blocks.ts'
import { bootCode, coreWithBlockList } from '../../lib/disk/boot-sectors.ts'
import { parseMap } from '../../lib/disk/extents.ts'
import { LAYOUTS, makeLayout, SECTOR, sfdiskScript, SMALLEST_DISK } from '../../lib/disk/layout.ts'
import { physicalVolume, writeVolumeGroup } from '../../lib/disk/lvm.ts'
import { readVolumes, volumesOf } from '../../lib/disk/lvm-read.ts'
import { anyBytes, damaged, fc, holds, linesOf, soon, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'
import { collect } from '../zfs/streams.ts'

const MIB = 1024 ** 2

const layouts = suite('makeLayout(), for any size')
layouts('has its parts one behind the other, all within the disk', () =>
  holds(
    100,
    fc.tuple(
      fc.constantFrom(...LAYOUTS),
      fc.integer({ min: SMALLEST_DISK / MIB, max: 2 ** 24 }),
      fc.boolean(),
    ),
    ([name, mib, bios]) => {
      const layout = makeLayout(name, mib * MIB, 'seed', bios)
      const parts = [layout.bios, layout.esp, layout.system].filter((one) => one !== undefined)
      let end = MIB
      for (const { offset, length } of parts) {
        assert.ok(offset >= end && length > 0 && offset % MIB === 0 && length % SECTOR === 0)
        end = offset + length
      }
      assert.ok(end <= (mib - 1) * MIB)
      const { root, system } = layout
      assert.ok(root.offset >= system.offset && root.length > 0)
      assert.ok(root.offset + root.length <= system.offset + system.length)
      assert.is(new Set(parts.map(({ uuid }) => uuid)).size, parts.length)
      assert.is(sfdiskScript(layout).match(/^start=\d+, size=\d+, /gm)?.length, parts.length)
    },
  ),
)
layouts.run()

const { system, group, root } = makeLayout('lvm', SMALLEST_DISK, 'seed')
const volume = physicalVolume(group!, 0)

async function volumesIn(path: string, offset: number) {
  const file = await open(path, 'r')
  try {
    return await readVolumes(file, offset)
  } finally {
    await file.close()
  }
}

/** Where a physical volume says where the rest of it is. */
const POINTERS = [532, 552, 560, 568, 576, 584, 592, 600, 608, 4096 + 40, 4096 + 48]
const FAR = [
  0n,
  1n,
  511n,
  512n,
  4096n,
  2n ** 20n,
  2n ** 26n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
]

const volumes = suite('a volume group that somebody wrote')
volumes('leads to places on a disk, or to none', () =>
  inTemporaryDir((dir) =>
    holds(
      250,
      fc.tuple(
        fc.oneof(
          damaged(volume),
          fc
            .array(fc.tuple(fc.constantFrom(...POINTERS), fc.constantFrom(...FAR)), {
              minLength: 1,
              maxLength: 3,
            })
            .map((lies) => {
              const copy = Buffer.from(volume)
              for (const [at, value] of lies) copy.writeBigUInt64LE(value, at)
              return copy
            }),
        ),
        fc.constantFrom(0, 0, 2 ** 53 - 2 ** 20),
      ),
      async ([bytes, offset]) => {
        const path = join(dir, 'disk')
        await writeFile(path, bytes)
        for (const place of (await volumesIn(path, offset)) ?? []) {
          assert.ok(Number.isSafeInteger(place) && place >= 0, String(place))
        }
      },
    ),
  ),
)
const WORDS = [
  'pe_start = ',
  'extent_size = ',
  'logical_volumes {',
  'segment_count = ',
  'segment1 {',
  'extent_count = ',
  'stripe_count = ',
  'stripes = [ "pv0", ',
  '}',
  ']',
  ' ',
  '1',
  '2048',
  '9007199254740991',
]
volumes('may say anything in its text', () =>
  holds(250, linesOf(WORDS, 20), (text) => {
    for (const one of [text, `pe_start = 2048\nextent_size = 8192\nlogical_volumes {\n${text}`]) {
      for (const place of volumesOf(one)) assert.ok(Number.isSafeInteger(place), String(place))
    }
  }),
)
volumes('is read in time that grows with its text', async () => {
  const head = 'pe_start = 2048\nextent_size = 8192\nlogical_volumes {\n'
  for (const piece of [
    'segment_count = 1 segment1 {',
    'segment_count = 1 ',
    'stripes = [ ',
    ' ',
    '1',
    'pe_start = ',
  ]) {
    await soon(() => volumesOf(head + piece.repeat(60_000)))
  }
})
volumes('of ours is found where it was put, in any place', () =>
  inTemporaryDir((dir) =>
    holds(15, fc.nat(64), async (mib) => {
      const path = join(dir, 'disk')
      await writeFile(path, Buffer.alloc(mib * 512))
      await writeVolumeGroup(path, mib * MIB, group!, 0)
      assert.equal(await volumesIn(path, mib * MIB), [mib * MIB + root.offset - system.offset])
    }),
  ),
)
volumes.run()

async function* blocksOf(blocks: readonly Block[], bytes: number): Blocks {
  yield* blocks
  return bytes
}

const disks = suite('the blocks of a disk')
disks('are the same disk, flat or as a file', () =>
  inTemporaryDir((dir) =>
    holds(
      40,
      fc.tuple(
        fc.array(
          fc.tuple(
            fc.nat(9000),
            fc.oneof(
              anyBytes(200),
              fc.nat(20_000).map((n) => Buffer.alloc(n)),
            ),
          ),
          { maxLength: 6 },
        ),
        fc.nat(9000),
      ),
      async ([parts, behind]) => {
        const blocks: Block[] = []
        let at = 0
        for (const [gap, data] of parts) {
          blocks.push({ offset: at + gap, data })
          at += gap + data.length
        }
        const expected = Buffer.alloc(at + behind)
        for (const { offset, data } of blocks) expected.set(data, offset)
        assert.ok((await collect(flatten(blocksOf(blocks, expected.length)))).equals(expected))
        const path = join(dir, 'disk')
        assert.is(await writeSparse(blocksOf(blocks, expected.length), path), expected.length)
        assert.ok((await readFile(path)).equals(expected))
      },
    ),
  ),
)
disks('are of what qemu-img maps, joined and in order', () =>
  holds(
    60,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean(), fc.boolean()), {
      maxLength: 9,
    }),
    (rows) => {
      let start = 0
      const map = rows.map(([length, data, zero]) => ({
        start: (start += length) - length,
        length,
        data,
        zero,
      }))
      const extents = parseMap(JSON.stringify(map))
      const covers = (at: number) =>
        extents.some((one) => one.offset <= at && at < one.offset + one.length)
      for (const { start: from, length, data, zero } of map) {
        for (let at = from; at < from + length; at++) assert.is(covers(at), data && !zero)
      }
      extents
        .slice(1)
        .forEach((one, i) => assert.ok(one.offset > extents[i]!.offset + extents[i]!.length))
    },
  ),
)
disks('boot by sectors that are some, or are refused', () =>
  holds(
    60,
    fc.tuple(fc.oneof(anyBytes(600), fc.constant(Buffer.alloc(512))), fc.nat()),
    async ([bytes, sector]) => {
      await told(() => assert.is(bootCode(bytes, sector).length, 440))
      await told(() => assert.is(coreWithBlockList(bytes, sector).length % SECTOR, 0))
    },
  ),
)
disks.run()
