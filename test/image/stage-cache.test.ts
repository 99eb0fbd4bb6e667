import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ownedName } from '../../lib/cli/owned.ts'
import {
  dropStage,
  findStage,
  keepStage,
  keyOf,
  sweepStages,
  takeStage,
} from '../../lib/image/stage-cache.ts'
import { printed } from '../printed.ts'
import { inTemporaryDir } from '../temporary.ts'

const stages = suite('stages that are kept')
const key = (text: string) => keyOf([text])
const fill = (text: string) => (directory: string) => writeFile(join(directory, 'x'), text)

stages('are found again by all that they depend on', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: join(dir, 'stages'), fresh: false }
    assert.is(await findStage(cache, 'base', key('a')), undefined)
    await keepStage(cache, 'base', key('a'), fill('made of a'))
    assert.is(
      await readFile(join((await findStage(cache, 'base', key('a')))!, 'x'), 'utf8'),
      'made of a',
    )
    assert.is(await findStage(cache, 'base', key('b')), undefined)
    assert.is(await findStage(cache, 'system', key('a')), undefined)
    assert.is(await findStage({ ...cache, fresh: true }, 'base', key('a')), undefined)
    await dropStage(cache, 'base', key('a'))
    assert.is(await findStage(cache, 'base', key('a')), undefined)
  }),
)
stages('are the two that were used last, of each kind', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: dir, fresh: false }
    for (const [i, name] of ['a', 'b'].entries()) {
      await keepStage(cache, 'base', key(name), fill(name))
      await utimes(join(dir, `base-${key(name)}`), 1000 + i, 1000 + i)
    }
    await keepStage(cache, 'system', key('a'), fill('a'))
    assert.ok(await findStage(cache, 'base', key('a')), 'used now')
    await keepStage(cache, 'base', key('c'), fill('c'))
    assert.equal(
      (await readdir(dir)).sort(),
      [`base-${key('a')}`, `base-${key('c')}`, `system-${key('a')}`].sort(),
    )
  }),
)
stages('that fail leave nothing, and are no reason to fail', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: dir, fresh: false }
    await keepStage(cache, 'base', key('a'), async (directory) => {
      await mkdir(join(directory, 'half'))
      throw new Error('no space')
    })
    assert.equal(await readdir(dir), [])
  }),
)
stages('that a killed build was about to keep are taken away, of whatever kind', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: dir, fresh: false }
    await keepStage(cache, 'base', key('a'), fill('made of a'))
    const gone = spawnSync('true').pid
    const own = ownedName(`base-${key('b')}`) // of a build that runs
    const left = ['base', 'system', 'image'].map((stage) =>
      ownedName(`${stage}-${key('a')}`).replace(`-${process.pid}-`, `-${gone}-`),
    )
    for (const name of [own, ...left]) await mkdir(join(dir, name, 'half'), { recursive: true })
    const said = await printed(() => sweepStages(cache))
    assert.is(said.match(/^Removing .*, which a build that was killed has left$/gm)?.length, 3)
    assert.equal((await readdir(dir)).sort(), [`base-${key('a')}`, own].sort())
    await sweepStages({ directory: undefined, fresh: false })
  }),
)
stages('that are damaged are taken away, with what was made of them', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: join(dir, 'stages'), fresh: false }
    const target = join(dir, 'tree')
    const take = (kept: string, error?: Error) => async () => {
      await mkdir(target)
      await writeFile(join(target, 'half'), kept)
      if (error) throw error
    }
    await keepStage(cache, 'base', key('a'), fill('made of a'))
    let taken = true
    const said = await printed(async () => {
      taken = await takeStage(cache, 'base', key('a'), target, take('', new Error('tar exited 2')))
    })
    assert.not(taken)
    assert.match(said, /^Warning: The stage "base" in .* is damaged: it is made anew$/m)
    assert.not(existsSync(target))
    assert.is(await findStage(cache, 'base', key('a')), undefined)
    assert.not(await takeStage(cache, 'base', key('a'), target, take('')))
    assert.not(await takeStage(cache, 'base', undefined, target, take('')))
    await keepStage(cache, 'base', key('a'), fill('made of a'))
    assert.ok(await takeStage(cache, 'base', key('a'), target, take('')))
    assert.ok(existsSync(target))
  }),
)
stages('are not damaged because the disk is full', () =>
  inTemporaryDir(async (dir) => {
    const cache = { directory: dir, fresh: false }
    await keepStage(cache, 'base', key('a'), fill('made of a'))
    const full = new Error('tar: x: Cannot write: No space left on device')
    const take = () => Promise.reject(full)
    await takeStage(cache, 'base', key('a'), join(dir, 'tree'), take).then(
      () => assert.unreachable(),
      (error: unknown) => assert.is(error, full),
    )
    assert.ok(await findStage(cache, 'base', key('a')))
  }),
)
stages.run()
