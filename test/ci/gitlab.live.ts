/** A job of .gitlab-ci.yml run by gitlab-ci-local, in a shell in place of its container, with stand-ins. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { needPackages, root, workDir } from '../live.ts'
import { gitlabCiLocal } from './gitlab.ts'
import { GITLAB } from './pipelines.ts'
import { standInRepository } from './stand-in.ts'

needPackages({ rsync: 'rsync', git: 'git' })

const { dir, remove } = await workDir()
const gitlab = suite('.gitlab-ci.yml, run')
gitlab.after(remove)
gitlab('builds one image by hand: fetched, built, tested, with the options given', async () => {
  const repository = await standInRepository(join(dir, 'repository'))
  copyFileSync(join(root, GITLAB), join(repository, GITLAB))
  const calls = join(dir, 'calls')
  const { status, stdout, stderr } = await gitlabCiLocal(
    repository,
    ...[
      '--force-shell-executor',
      '--variable',
      'OPTIONS=--size 3G',
      '--variable',
      `CALLS=${calls}`,
    ],
    'build: [debian-12]',
  )
  assert.is(status, 0, stdout + stderr)
  const made = readFileSync(calls, 'utf8').replaceAll(/\S+\/(\S+\.imgmanifest)/g, '$1')
  assert.equal(made.trimEnd().split('\n'), [
    'create-image-debian 12 fetch --size 3G',
    'create-image-debian 12 image --size 3G',
    'test-image debian-12.imgmanifest',
  ])
})
gitlab.run()
