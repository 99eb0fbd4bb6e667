/** Keys of vendors on this machine; those that are fetched, in media.live.ts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findKeys } from '../../lib/media/keys.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const source = (dir: string) => ({
  fingerprints: ['AB CD'],
  file: join(dir, 'keyring.gpg'),
  url: 'http://127.0.0.1:1/CD/vendor-key.txt',
})
const offline = { offline: true }

const finding = suite('findKeys()')
finding("prefers the operator's file, then the keyring, then what was fetched before", () =>
  inTemporaryDir(async (dir) => {
    const own = join(dir, 'own.asc')
    const fetched = join(dir, 'cache/keys/abcd.asc')
    await mkdir(join(dir, 'cache/keys'), { recursive: true })
    const found = async (given?: string) => {
      const { keys, pins } = await findKeys(source(dir), given, join(dir, 'cache'), offline)
      assert.equal(pins, ['AB CD'])
      return [...keys].map(([name, bytes]) => [name, bytes.toString()])[0]
    }
    await writeFile(fetched, 'third')
    assert.equal(await found(), [fetched, 'third'])
    await writeFile(source(dir).file, 'second')
    assert.equal(await found(), [source(dir).file, 'second'])
    await writeFile(own, 'first')
    assert.equal(await found(own), [own, 'first'])
  }),
)
finding('says which key is missing, and where it was looked for', () =>
  inTemporaryDir(async (dir) => {
    const cache = join(dir, 'cache')
    assert.match(
      await refusal(findKeys(source(dir), undefined, cache, offline)),
      /^Cannot find the vendor's key AB CD offline$/,
    )
    assert.match(
      await refusal(findKeys(source(dir), join(dir, 'none.asc'), cache, offline)),
      /^Cannot read key ".*none\.asc": no such file/,
    )
  }),
)
finding.run()
