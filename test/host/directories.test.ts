import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { explain } from '../../lib/cli/errors.ts'
import { makeParents, nearestExisting } from '../../lib/host/directories.ts'
import { checkWritable } from '../../lib/image/output-dir.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const places = suite('directories')
places('are made where they are not, and only there', () =>
  inTemporaryDir(async (dir) => {
    assert.is(await makeParents(join(dir, 'a/b/c')), join(dir, 'a'))
    assert.is(await makeParents(join(dir, 'a/b/c')), undefined)
    assert.is(await nearestExisting(join(dir, 'a/b/x/y')), join(dir, 'a/b'))
    await mkdir(join(dir, 'real'))
    await symlink('real', join(dir, 'link'))
    assert.is(await makeParents(join(dir, 'link/in')), join(dir, 'link/in'))
    assert.equal(await readdir(join(dir, 'real')), ['in'])
  }),
)
for (const [what, make, reason] of [
  ['a link that leads nowhere', (at: string) => symlink('/no/such', at), /no such file/],
  ['a link to itself', (at: string) => symlink(at, at), /a link to itself/],
  ['a file', (at: string) => writeFile(at, ''), /not a directory/],
] as const) {
  places(`are not ${what}, which is said before the work`, () =>
    inTemporaryDir(async (dir) => {
      const at = join(dir, 'output')
      await make(at)
      for (const path of [at, join(at, 'below')]) {
        assert.match((await errorOf(() => checkWritable(path))).message, reason, path)
        const error = await errorOf(() => makeParents(path))
        assert.match((explain('make it', error) as Error).message, reason, path)
      }
      assert.equal(await readdir(dir), ['output'])
    }),
  )
}
places.run()
