import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { existsSync } from 'node:fs'
import { utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { withLock } from '../../lib/host/lock.ts'
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
