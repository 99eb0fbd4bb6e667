/** shellcheck reads the shell lines of the pipeline files. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { needPackages } from '../live.ts'
import { GITHUB, GITLAB, JENKINS, shellLines } from './pipelines.ts'

needPackages({ shellcheck: 'shellcheck' })

const lines = suite('shell lines')
for (const file of [JENKINS, GITHUB, GITLAB]) {
  lines(`${file}: shellcheck finds nothing`, () => {
    // SC2086: $OPTIONS and the like are several words, and meant so.
    const { status, stdout } = spawnSync('shellcheck', ['--shell=bash', '--exclude=SC2086', '-'], {
      input: shellLines(file).join('\n'),
      encoding: 'utf8',
    })
    assert.is(status, 0, stdout)
  })
}
lines.run()
