/** Two workers build all images of a repository; one is killed while it builds; all images arrive all the same. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startFarm, waitFor } from './buildbot.ts'

const IMAGES = ['debian-12', 'debian-13']

type Case = {
  title: string
  dir: string
  /** More settings of the master, and the repository that workers clone. */
  settings: () => Promise<{ repository: string; branch: string; [more: string]: unknown }>
  /** How far into the step "build" the worker is killed, and how long all may take. */
  killAfterSeconds: number
  limitSeconds: number
  /** A look at what was collected. */
  check: (folder: string, image: string) => void
  /** Also that a worker which is back gets work again; real builds show nothing more of that. */
  comesBack?: boolean
  before?: () => void
  after?: () => Promise<void>
}

export function lostWorker(one: Case): void {
  const losing = suite(one.title)
  let farm: Awaited<ReturnType<typeof startFarm>>
  losing.before(async () => {
    one.before?.()
    const settings = { only: IMAGES.join(','), ...(await one.settings()) }
    farm = await startFarm(one.dir, settings, ['first', 'second'])
    await farm.startWorker('first')
    await farm.startWorker('second')
  })
  losing.after(async () => {
    await farm.stop()
    await one.after?.()
  })
  losing('a killed worker: its build is retried elsewhere, and both are collected', async () => {
    const started = Date.now()
    const seconds = () => Math.round((Date.now() - started) / 1000)
    const state = () => `${JSON.stringify(farm.builds(), undefined, 1)}\n${farm.log()}`
    const builds = (result: string) => farm.builds().filter((build) => build.result === result)
    farm.sendChange('images')

    const building = () =>
      builds('none yet').filter(({ steps }) =>
        steps.some(({ name, started: begun, result }) => {
          return name === 'build' && begun && result === 'none yet'
        }),
      )
    const both = () => building().length === IMAGES.length
    await waitFor('both workers to build', one.limitSeconds, both, state)
    await delay(one.killAfterSeconds * 1000)
    const lost = building()[0]
    assert.ok(lost, `nothing is being built any more:\n${state()}`)
    console.error(`${seconds()} s: killing ${lost.worker}, which builds ${lost.builder}`)
    await farm.kill(lost.worker)

    await waitFor('both builds', one.limitSeconds, () => builds('success').length >= 2, state)
    console.error(`${seconds()} s: all is built`)
    const other = lost.worker === 'first' ? 'second' : 'first'
    assert.equal(
      builds('retry').map(({ builder, worker }) => [builder, worker]),
      [[lost.builder, lost.worker]],
    )
    assert.equal(
      builds('success')
        .map(({ builder, worker }) => [builder, worker])
        .sort(),
      IMAGES.map((name) => [name, other]),
    )
    for (const name of IMAGES) {
      const stamps = readdirSync(join(farm.master, 'images', name))
      assert.is(stamps.length, 1)
      one.check(join(farm.master, 'images', name, stamps[0]!), name)
    }
  })
  const back = async () => {
    const before = farm.builds().length
    const gone = ['first', 'second'].find((name) => !farm.runs(name))!
    const other = gone === 'first' ? 'second' : 'first'
    await farm.kill(other)
    await farm.startWorker(gone)
    farm.sendChange('debian-12')
    const state = () => JSON.stringify(farm.builds(), undefined, 1)
    const fetched = () =>
      farm
        .builds()
        .slice(before)
        .some(({ worker, steps }) => {
          return (
            worker === gone && steps.some((at) => at.name === 'fetch' && at.result === 'success')
          )
        })
    await waitFor(`a build on ${gone}`, one.limitSeconds, fetched, state)
  }
  if (one.comesBack) losing('a worker that is back is given work again', back)
  losing.run()
}
