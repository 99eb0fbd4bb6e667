/** As buildbot.live.ts, with real builds and test-image: two images are booted by workers, one of which is killed. */
import { join } from 'node:path'
import { machineMirrors, needPackages, workDir } from '../live.ts'
import { lostWorker } from './lost-worker.ts'
import { BUILDBOT, checkCollected, ownRepository } from './real.ts'

needPackages(BUILDBOT)

const { dir, remove } = await workDir()
lostWorker({
  title: 'a lost worker, images booted',
  dir,
  settings: async () => ({
    repository: await ownRepository(join(dir, 'clone')),
    branch: 'main',
    options: [...machineMirrors(), '--size', '3G'],
  }),
  killAfterSeconds: 10,
  limitSeconds: 55 * 60,
  after: remove,
  check: (folder, image) => checkCollected(folder, image),
})
