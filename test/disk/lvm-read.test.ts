import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeLayout } from '../../lib/disk/layout.ts'
import { physicalVolume, writeVolumeGroup } from '../../lib/disk/lvm.ts'
import { namedVolumes, readVolumes, volumesOf } from '../../lib/disk/lvm-read.ts'
import { Random } from '../random.ts'
import { inTemporaryDir } from '../temporary.ts'

const MIB = 1024 ** 2
const { system, group, root } = makeLayout('lvm', 2048 * MIB, 'seed')
const theirs = await readFile(new URL('../fixtures/lvm-metadata.txt', import.meta.url), 'utf8')

async function volumesIn(path: string, offset: number) {
  const file = await open(path, 'r')
  try {
    return await readVolumes(file, offset)
  } finally {
    await file.close()
  }
}

const reading = suite('readVolumes()')
reading('finds the volume of a group that was written by us', () =>
  inTemporaryDir(async (dir) => {
    const disk = join(dir, 'disk.raw')
    await writeFile(disk, '')
    await truncate(disk, 2048 * MIB)
    await writeVolumeGroup(disk, system.offset, group!, 0)
    assert.equal(await volumesIn(disk, system.offset), [root.offset])
    assert.is(await volumesIn(disk, 0), undefined)
    assert.is(await volumesIn(disk, 2048 * MIB), undefined)
  }),
)
reading('does not stumble over a physical volume that is damaged', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'pv')
    const good = physicalVolume(group!, 0)
    const random = new Random(3)
    for (let n = 0; n < 300; n++) {
      const bad = Buffer.from(good)
      for (let i = 0; i < 8; i++) bad[random.below(bad.length)] = random.below(256)
      // The numbers that lead on are damaged more often than chance would have it.
      bad[540 + random.below(120)] = random.below(256)
      bad[4096 + 40 + random.below(16)] = random.below(256)
      await writeFile(path, bad.subarray(0, n % 3 === 0 ? random.below(bad.length) : bad.length))
      const found = await volumesIn(path, 0)
      for (const place of found ?? []) assert.ok(Number.isSafeInteger(place))
    }
  }),
)
reading.run()

const texts = suite('volumesOf()')
texts('reads what lvm itself wrote', () => assert.equal(volumesOf(theirs), [MIB]))
texts('takes the largest first, and leaves out what is scattered or striped', () => {
  const volume = (name: string, first: number, extents: number, stripes = 1, segments = 1) =>
    `${name} {\nid = "x"\nsegment_count = ${segments}\n\nsegment1 {\nstart_extent = 0\n` +
    `extent_count = ${extents}\n\ntype = "striped"\nstripe_count = ${stripes}\n\n` +
    `stripes = [\n"pv0", ${first}\n]\n}\n}\n`
  const text =
    'g {\nextent_size = 8192\nphysical_volumes {\npv0 {\npe_start = 2048\n}\n}\nlogical_volumes {\n' +
    volume('home', 0, 10) +
    volume('root', 10, 100) +
    volume('two', 110, 500, 2) +
    volume('torn', 610, 500, 1, 2) +
    '}\n}\n'
  assert.equal(volumesOf(text), [MIB + 10 * 4 * MIB, MIB])
  assert.equal(
    namedVolumes(text).map(({ group, name, start }) => [group, name, start]),
    [
      ['g', 'home', MIB],
      ['g', 'root', MIB + 10 * 4 * MIB],
      ['g', 'two', undefined],
      ['g', 'torn', undefined],
    ],
  )
})
texts('reads names in a time that grows with the text', () => {
  const began = performance.now()
  namedVolumes(`x {\nextent_size = 1\npe_start = 1\nlogical_volumes {\n${'a'.repeat(1 << 20)}`)
  assert.ok(performance.now() - began < 5000)
})
texts('finds none in a text that is none', () => {
  for (const text of ['', 'x', 'pe_start = 1', 'logical_volumes {'])
    assert.equal(volumesOf(text), [])
})
texts.run()
