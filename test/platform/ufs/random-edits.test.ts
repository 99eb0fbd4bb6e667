/**
 * Random edits of random images: after each sequence the image has to be what a model in memory says,
 * and our fsck must find nothing. `UFS_SEQUENCES=5000` runs more of them, `UFS_SEED=17` begins there.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { BuildError } from '../../../lib/cli/errors.ts'
import { editUfs, editUfsInPlace, openUfs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import { Random } from '../../random.ts'
import { mkufs } from './mkufs.ts'
import { differences, imageDir, NOW, randomEdit, randomFiles, randomGeometry } from './model.ts'

const SEQUENCES = Number(process.env['UFS_SEQUENCES'] ?? 120)
const FIRST_SEED = Number(process.env['UFS_SEED'] ?? 1)
const { dir, remove } = imageDir()
const image = join(dir, 'image')

const edits = suite('random edits')
edits.after(remove)

/** A random image with random edits. `done` counts the edits of each kind. */
async function runSequence(seed: number, done: Map<string, number>): Promise<void> {
  const random = new Random(seed)
  const geometry = randomGeometry(random)
  const blockBytes = geometry.blockBytes!
  const { given, model } = randomFiles(random, blockBytes)
  try {
    mkufs(image, geometry, given)
  } catch (error) {
    if (!/is full|too few/.test(String(error))) throw error
    return // the files, or the tables of one group, did not fit
  }
  assert.equal(fsck(image), [])
  const count = random.below(random.below(4) ? 40 : 200)
  const edit = random.below(8) === 0 ? editUfs : editUfsInPlace
  await edit(
    image,
    (ufs) => {
      for (let i = 0; i < count; i++) {
        let kind: string
        try {
          kind = randomEdit(random, ufs, model, blockBytes)
        } catch (error) {
          if (!(error instanceof BuildError) || !/missing/.test(error.message)) throw error
          kind = /inode/.test(error.message) ? 'no inode' : 'no space'
        }
        done.set(kind, (done.get(kind) ?? 0) + 1)
      }
      assert.equal(differences(ufs, model), [])
    },
    { nowSeconds: NOW },
  )
  const ufs = openUfs(image)
  try {
    assert.equal(differences(ufs, model), [])
  } finally {
    ufs.close()
  }
  assert.equal(fsck(image), [])
}

edits(`${SEQUENCES} sequences leave good images with the right files`, async () => {
  const done = new Map<string, number>()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEQUENCES; seed++) {
    try {
      await runSequence(seed, done)
    } catch (error) {
      console.error(`UFS_SEED=${seed} fails`)
      throw error
    }
  }
  if (process.env['UFS_SEQUENCES']) console.log(done)
  if (SEQUENCES < 100) return
  for (const kind of [
    'create',
    'replace',
    'mkdir',
    'symlink',
    'remove',
    'remove tree',
    'no space',
    'no inode',
  ]) {
    assert.ok((done.get(kind) ?? 0) > 10, `${kind}: ${done.get(kind)}`)
  }
})
edits.run()
