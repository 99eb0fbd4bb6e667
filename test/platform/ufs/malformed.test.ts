/**
 * Images with random damage: whatever is done with them ends, and with an answer or an error for the
 * operator. `UFS_DAMAGED=5000` tries more of them, `UFS_SEED=17` begins there.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildError } from '../../../lib/cli/errors.ts'
import { editUfsInPlace, openUfs, type Ufs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import type { UfsReader } from '../../../platform/ufs/reader.ts'
import { Random } from '../../random.ts'
import { mkufs } from './mkufs.ts'
import { layoutOf } from './mkufs-tables.ts'
import { imageDir, NOW, randomEdit, someBytes, type Model } from './model.ts'

const IMAGES = Number(process.env['UFS_DAMAGED'] ?? 200)
const FIRST_SEED = Number(process.env['UFS_SEED'] ?? 1)
const { dir, remove } = imageDir()
const path = join(dir, 'image')

const geometry = {
  bytes: 1_500_000,
  sectorsPerTrack: 64,
  cylindersPerGroup: 16,
  bytesPerInode: 8192,
  nowSeconds: NOW,
}
const files = ['/a/b/c', '/a/large', '/a/double/indirect', '/link', '/a/other', '/d1/x', '/d2/y']
mkufs(path, geometry, [
  ...files.map((file, i) => ({
    type: 'file' as const,
    path: file,
    content: someBytes(new Random(i), 700 * i * i + (i === 1 ? 80_000 : 0)),
  })),
  { type: 'symlink', path: '/symlink', target: 'a/b' },
  { type: 'link', path: '/a/twice', to: '/a/large' },
  ...Array.from({ length: 60 }, (_, i) => ({ type: 'fifo' as const, path: `/many/fifo${i}` })),
])
const good = readFileSync(path)
const layout = layoutOf(geometry)

/** Damage where it matters: in superblock, headers, inodes, directories, pointers; or anywhere. */
function damage(random: Random): Buffer {
  const data = Buffer.from(good)
  const places = [
    () => 8192 + 4 * random.below(344),
    () => (layout.start(random.below(layout.groups)) + layout.headerAt) * 1024 + random.below(1024),
    () => layout.inodesAt * 1024 + 128 * (2 + random.below(90)) + random.below(128),
    () => layout.inodesAt * 1024 + 128 * (2 + random.below(20)) + 4 * random.below(32),
    () => layout.dataAt * 1024 + random.below(16 * 1024),
    () => random.below(data.length),
  ]
  const count = 1 + random.below(4)
  for (let i = 0; i < count; i++) {
    const at = places[random.below(places.length)]!()
    const kind = random.below(4)
    if (kind === 0) data[at]! ^= 1 << random.below(8)
    else if (kind === 1) data[at] = random.below(256)
    else if (kind === 2) data.writeInt32LE(random.below(2) ? -1 : 0x7fffffff, at & ~3)
    else data.writeInt32LE(random.below(random.below(2) ? 6000 : 2 ** 31), at & ~3)
  }
  return data
}

/** Runs to its end, or ends with an error for the operator. */
async function ends(work: () => unknown): Promise<'done' | 'refused'> {
  try {
    await work()
    return 'done'
  } catch (error) {
    if (error instanceof BuildError) return 'refused'
    throw error
  }
}

function readAll(ufs: UfsReader): void {
  for (const { path: file, type } of ufs.walk()) {
    if (type === 'file') ufs.readFile(file)
    if (type === 'symlink') ufs.realPath(file)
  }
}

/** Edits that touch old files and make new ones; those that are refused do not end it. */
async function editMuch(ufs: Ufs, random: Random): Promise<void> {
  const model: Model = new Map(
    files.map((file) => [file, { type: 'file', mode: 0, uid: 0, gid: 0 }]),
  )
  for (let i = 0; i < 20; i++) await ends(() => randomEdit(random, ufs, model, 4096))
  for (const top of ['/a', '/d1', '/many', '/symlink']) await ends(() => ufs.removeTree(top))
}

const damaged = suite('damaged images')
damaged.after(remove)
damaged(`${IMAGES} of them are read, edited and checked to an end`, async () => {
  const outcomes = new Map<string, number>()
  const count = (name: string) => outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
  for (let seed = FIRST_SEED; seed < FIRST_SEED + IMAGES; seed++) {
    const random = new Random(seed)
    const began = Date.now()
    writeFileSync(path, damage(random))
    try {
      const read = await ends(() => {
        const ufs = openUfs(path)
        try {
          readAll(ufs)
        } finally {
          ufs.close()
        }
      })
      let isGood = false
      const checked = await ends(() => {
        isGood = fsck(path).length === 0
        count(isGood ? 'good' : 'found')
      })
      const edited = await ends(() => editUfsInPlace(path, (ufs) => editMuch(ufs, random)))
      await ends(() => {
        const findings = fsck(path)
        if (isGood) assert.equal(findings, [], 'damaged by the edits')
      })
      count(`read ${read}`)
      count(`check ${checked}`)
      count(`edit ${edited}`)
      assert.ok(Date.now() - began < 5000, 'it took too long')
    } catch (error) {
      console.error(`UFS_SEED=${seed} fails`)
      throw error
    }
  }
  if (process.env['UFS_DAMAGED']) console.log(outcomes)
  for (const name of ['read done', 'read refused', 'found', 'edit done', 'edit refused']) {
    assert.ok(IMAGES < 200 || (outcomes.get(name) ?? 0) > 4, `${name}: ${outcomes.get(name)}`)
  }
})
damaged.run()
