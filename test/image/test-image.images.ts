/** Images that CI has no time to boot: built, and tested as they would be before they are published. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, machineMirrors, run, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const before = leftovers()

const images = suite('test-image, more images')
const IMAGES = [
  ['13', ['--hardware', 'legacy']],
  ['12', ['--hardware', 'bhyve']],
] as const
for (const [release, words] of IMAGES) {
  images(`Debian ${release} ${words.join(' ')}`, async () => {
    const output = ['--output', join(dir, 'bits')]
    const built = await run('create-image-debian', [release, ...output, ...machineMirrors()])
    assert.is(built.status, 0)
    const tested = await run('test-image', [built.stdout.trim(), ...words])
    assert.is(tested.status, 0)
    assertNothingLeft(before)
  })
}
images.after(remove)
images.run()
