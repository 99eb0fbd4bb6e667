/** Under releases of Node that are newer than the oldest one that will do, which the tests run on elsewhere. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathWithNode } from '../newer-node.ts'
import { command, root, workDir } from '../live.ts'

const { dir, remove } = await workDir()

const newer = suite('newer Node')
newer.after(remove)
/** Every fast test by the newest; by another what differs between releases: starts, processes, reads at odd places. */
for (const [release, only] of [
  [22, ['cli/', 'disk/', 'host/', 'publish/http']],
  [24, []],
] as const) {
  const env = { ...process.env }
  newer(`${release}: its version is the one that starts`, () => {
    env['PATH'] = pathWithNode(release, dir)
    const version = execFileSync('node', ['--version'], { env, encoding: 'utf8' })
    assert.match(version, new RegExp(`^v${release}\\.`))
  })
  newer(`${release}: commands say what they are for, and keep what was compiled`, () => {
    const help = (more: NodeJS.ProcessEnv) =>
      spawnSync(command('create-image-debian'), ['--help'], { env: more, encoding: 'utf8' })
    const theirs = help(env)
    assert.is(theirs.status, 0)
    assert.is(theirs.stderr, '') // no warning of something experimental
    assert.is(theirs.stdout, help(process.env).stdout)
    const kept = readdirSync(join(root, 'node_modules/.cache/hybrid-images/compiled'))
    assert.ok(kept.some((name) => name.startsWith(`v${release}.`)))
  })
  newer(`${release}: passes the tests${only.length > 0 ? ` of ${only.join(' ')}` : ''}`, () => {
    const { status, stdout } = spawnSync('npm', ['test', '--', ...only], {
      cwd: root,
      env,
      encoding: 'utf8',
    })
    assert.match(stdout, /^[1-9]\d+ passed, 0 failed$/m, stdout)
    assert.is(status, 0)
  })
}
newer.run()
