/**
 * The Buildbot configuration, really run: a master and two workers build, test and collect two images, and one
 * worker is killed on the way. The commands have stand-ins, which shows what happens when something fails; the
 * same with real builds and test-image takes longer than CI has, and is in buildbot.images.ts.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { needPackages, workDir } from '../live.ts'
import { config, startFarm, waitFor } from './buildbot.ts'
import { lostWorker } from './lost-worker.ts'
import { BUILDBOT } from './real.ts'
import { standInRepository } from './stand-in.ts'

needPackages(BUILDBOT)

const { dir, remove } = await workDir()
const repository = await standInRepository(join(dir, 'repository'))

const stand = suite('master.cfg, with stand-ins')
let farm: Awaited<ReturnType<typeof startFarm>>
const state = () => `${JSON.stringify(farm.builds(), undefined, 1)}\n${farm.log()}`
const stepsOf = (builder: string) =>
  farm
    .builds()
    .findLast((build) => build.builder === builder)
    ?.steps.map(({ name, result }) => `${name} ${result}`)
const done = (count: number) => () =>
  farm.builds().filter(({ result }) => result !== 'none yet').length >= count
stand.before(async () => {
  process.env['STAND_IN_SECONDS'] = '3'
  process.env['STAND_IN_BAD'] = 'rocky-9'
  const settings = {
    repository,
    branch: 'main',
    only: 'debian-12,debian-13,rocky-9',
    options: ['--size', '3G'],
    publish: ['--to', 'imgapi', '--url', 'http://imgapi.example.com'],
  }
  farm = await startFarm(join(dir, 'stand-ins'), settings, ['first', 'second'])
  await farm.startWorker('first')
  await farm.startWorker('second')
})
stand.after(async () => {
  delete process.env['STAND_IN_SECONDS']
  delete process.env['STAND_IN_BAD']
  await farm.stop()
})

stand('builds one image on demand, in these steps; is published only when asked', async () => {
  farm.sendChange('debian-12')
  await waitFor('a build', 120, done(1), state)
  assert.equal(stepsOf('debian-12'), [
    'worker_preparation success',
    'git success',
    'fetch success',
    'build success',
    'test success',
    'publish skipped',
    'collect success',
    'tidy success',
  ])
  const { logs } = farm.builds()[0]!.steps.find(({ name }) => name === 'build')!
  assert.ok(logs.includes('serial'), `the console of an installer is among ${logs.join(', ')}`)
  const stamps = readdirSync(join(farm.master, 'images/debian-12'))
  assert.is(stamps.length, 1)
  const folder = join(farm.master, 'images/debian-12', stamps[0]!)
  assert.equal(readdirSync(folder).sort(), ['debian-12.imgmanifest', 'debian-12.test.xml'])
  assert.is(readFileSync(join(folder, 'debian-12.imgmanifest'), 'utf8'), 'debian-12\n')
})
stand('publishes where the property says so', async () => {
  farm.sendChange('debian-13', { publish: 'yes' })
  await waitFor('a build', 120, done(2), state)
  assert.ok(stepsOf('debian-13')?.includes('publish success'), state())
})
stand('an image that fails its test is not published; its report is collected', async () => {
  farm.sendChange('rocky-9', { publish: 'yes' })
  await waitFor('a build', 120, done(3), state)
  assert.equal(stepsOf('rocky-9')?.slice(-3), ['test failure', 'collect success', 'tidy success'])
  const [stamp] = readdirSync(join(farm.master, 'images/rocky-9'))
  assert.ok(readdirSync(join(farm.master, 'images/rocky-9', stamp!)).includes('rocky-9.test.xml'))
})
stand('a change is checked, and nothing is built', async () => {
  farm.sendChange('')
  await waitFor('a check', 120, done(4), state)
  assert.is(farm.builds().at(-1)?.builder, 'check')
  assert.is(farm.builds().length, 4)
})
for (const [what, settings, message] of [
  ['no workers', {}, /No workers in \S+settings\.json: put /],
  ['an unknown setting', { workers: { a: 'b' }, option: [] }, /Unknown settings \['option'\]/],
  ['a pattern that means nothing', { workers: { a: 'b' }, only: 'suse-*' }, /No image matches/],
] as const) {
  stand(`refuses ${what}, and says so`, async () => {
    const base = join(dir, what.replaceAll(' ', '-'))
    await mkdir(base)
    await writeFile(join(base, 'settings.json'), JSON.stringify(settings))
    execFileSync('buildbot', ['create-master', '--quiet', `--config=${config}`, base])
    const { status, stdout, stderr } = spawnSync('buildbot', ['checkconfig', base], {
      encoding: 'utf8',
    })
    assert.is.not(status, 0)
    assert.match(stdout + stderr, message)
  })
}
stand.run()

lostWorker({
  title: 'a lost worker, with stand-ins',
  dir: join(dir, 'lost'),
  settings: () => Promise.resolve({ repository, branch: 'main' }),
  killAfterSeconds: 1,
  limitSeconds: 300,
  comesBack: true,
  before: () => {
    process.env['STAND_IN_SECONDS'] = '10'
  },
  after: async () => {
    delete process.env['STAND_IN_SECONDS']
    await remove()
  },
  check: (folder, image) => {
    assert.equal(readdirSync(folder).sort(), [`${image}.imgmanifest`, `${image}.test.xml`])
  },
})
