/** Real builds for the Buildbot tests: this checkout as a repository, and a look at what was collected. */
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { command, root } from '../live.ts'

/** Debian's packages of Buildbot, and what the test starts it with. */
export const BUILDBOT = {
  buildbot: 'buildbot',
  'buildbot-worker': 'buildbot-worker',
  git: 'git',
  unshare: 'util-linux',
}

/** A clone with the branch main, wherever this checkout stands. */
export async function ownRepository(dir: string): Promise<string> {
  execFileSync('git', ['clone', '--quiet', root, dir])
  execFileSync('git', ['-C', dir, 'checkout', '--quiet', '-B', 'main'])
  return dir
}

/** What the master has is whole: inspect-image reads the collected file anew, and test-image has left its report. */
export function checkCollected(folder: string, image: string): void {
  const files = readdirSync(folder)
  const manifest = files.find((name) => name.endsWith('.imgmanifest')) ?? ''
  assert.ok(manifest.startsWith(`${image}-`), `${folder} has ${files.join(', ')}`)
  const inspect = spawnSync(command('inspect-image'), [join(folder, manifest)], {
    encoding: 'utf8',
  })
  assert.is(inspect.status, 0, inspect.stderr)
  assert.ok(files.some((name) => name.endsWith('.test.xml')))
}
