/**
 * Builds that are ended while packages are chosen: apt and mmdebstrap write files at moments of their own, which
 * nobody else would take away.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  start,
  workDir,
} from '../live.ts'

needPackages({ mmdebstrap: 'mmdebstrap', 'apt-ftparchive': 'apt-utils' })

const { dir, remove } = await workDir()
const tmp = join(dir, 'tmp')
await mkdir(tmp)
const before = leftovers()

const ending = suite('builds that are ended while packages are chosen')
for (const [whose, mirrors] of [
  ["the vendor's mirror", []],
  ["this machine's mirror", machineMirrors()],
] as const) {
  ending(`leave nothing, whenever that is: ${whose}`, async () => {
    const words = ['12', '--output', join(dir, 'bits'), '--cache', join(dir, 'cache'), ...mirrors]
    for (let ms = 0; ms <= 2400; ms += 150) {
      const { child, outcome, shows } = start('create-image-debian', words, {
        env: { TMPDIR: tmp },
      })
      await shows(/^Choose packages$/m)
      await Promise.race([delay(ms), outcome])
      child.kill('SIGINT')
      const { status, stderr } = await outcome
      // A machine that does not reach the vendor's has failed by itself.
      assert.ok(
        status === 130 || (mirrors.length === 0 && status === 1),
        `after ${ms} ms: ${stderr}`,
      )
      assert.equal(await readdir(tmp), [], `after ${ms} ms`)
      execFileSync('rm', ['-rf', join(dir, 'cache')]) // the lists are fetched each time
    }
    assertNothingLeft(before)
  })
}
ending.after(remove)
ending.run()
