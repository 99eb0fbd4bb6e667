import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ownedName } from '../../lib/cli/owned.ts'
import { takeAway, withLock } from '../../lib/host/lock.ts'
import { inTemporaryDir } from '../temporary.ts'

const lock = suite('withLock()')
lock('lets one in at a time', () =>
  inTemporaryDir(async (dir) => {
    let inside = 0
    let most = 0
    const visit = () =>
      withLock(join(dir, 'new', 'file'), async () => {
        most = Math.max(most, ++inside)
        await delay(30)
        inside -= 1
      })
    await Promise.all([visit(), visit(), visit()])
    assert.is(most, 1)
    assert.not(existsSync(join(dir, 'new/file.lock')))
  }),
)
lock('is gone after a failure, which passes through', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    const work = withLock(path, () => Promise.reject(new Error('no')))
    assert.is(await work.catch((error: Error) => error.message), 'no')
    assert.is(await withLock(path, () => Promise.resolve('in')), 'in')
  }),
)
lock('of somebody who was killed stands in nobody else’s way', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    await writeFile(`${path}.lock`, '1')
    const old = new Date(Date.now() - 60_000)
    await utimes(`${path}.lock`, old, old)
    assert.is(await withLock(path, () => Promise.resolve('in')), 'in')
  }),
)
/** What a process that has ended leaves. */
const dead = () => ownedName('lock').replace(`-${process.pid}-`, `-${spawnSync('true').pid}-`)
const rightTo = (path: string, held: string) =>
  `${path}.lock.${createHash('sha256').update(held).digest('hex').slice(0, 16)}`

lock('of somebody who was killed is taken away by him alone who has the right to', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    const held = dead()
    await writeFile(`${path}.lock`, held)
    await writeFile(rightTo(path, held), ownedName('right')) // as one has it who is at it
    const waiting = withLock(path, () => readFile(`${path}.lock`, 'utf8'))
    await delay(100)
    assert.is(await readFile(`${path}.lock`, 'utf8'), held)
    // That one takes it away, and somebody else is faster.
    await writeFile(`${path}.lock`, ownedName('lock'))
    await rm(rightTo(path, held))
    await delay(100)
    assert.ok(existsSync(`${path}.lock`))
    await rm(`${path}.lock`)
    assert.is.not(await waiting, held)
    assert.equal(await readdir(dir), [])
  }),
)
lock('that was seen as nobody’s, and has been taken over since, is not taken away', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file.lock')
    await writeFile(path, ownedName('lock'))
    await takeAway(path, dead())
    assert.equal(await readdir(dir), ['file.lock'])
  }),
)
lock('whose owner was killed while it took another one over is taken over too', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    const held = dead()
    await writeFile(`${path}.lock`, held)
    await writeFile(rightTo(path, held), dead())
    assert.is(await withLock(path, () => Promise.resolve('in')), 'in')
    assert.equal(await readdir(dir), [])
  }),
)
lock('that another one has taken over is not released', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    await withLock(path, () => writeFile(`${path}.lock`, 'of another'))
    assert.is(await readFile(`${path}.lock`, 'utf8'), 'of another')
  }),
)
lock('of somebody at work is theirs, though the clock was set ahead', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'file')
    let isDone = false
    const first = withLock(path, async () => {
      const old = new Date(Date.now() - 3_600_000)
      await utimes(`${path}.lock`, old, old)
      await delay(700)
      isDone = true
    })
    await delay(50)
    await withLock(path, async () => assert.ok(isDone))
    await first
  }),
)
lock.run()
