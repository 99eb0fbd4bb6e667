/** What of an earlier build is taken when only a part has changed, and what of it is not. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, placeOf } from '../builds.ts'
import { warmCache, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const here = await placeOf(dir)
const script = join(dir, 'customize.sh')

const reusing = suite('stages of an earlier build')
reusing.before(() => warmCache(join(dir, 'cache'), { image: true }))
reusing.after(remove)
reusing('have the packages that were chosen, while the lists are the same', async () => {
  const offline = [...here.words, '--offline'] // the lists stay as they are
  const chosen = await build({ ...here, words: offline })
  const again = await build({ ...here, words: offline })
  assert.match(again.said, /lists have not changed: the packages are those of an earlier build/)
  assert.is(await readFile(again.lock, 'utf8'), await readFile(chosen.lock, 'utf8'))
  assert.is(again.image.sha1, chosen.image.sha1)
})
reusing('are used again as far as they are the same', async () => {
  // The archive may be another one than when the cache was filled, and become another one as this runs.
  const { lock } = await build(here)
  here.words.push('--locked', lock)
  const made = await build(here, ['--size', '12G'])
  assert.match(made.said, /^Take the system of an earlier build: /m)
  await writeFile(script, '#!/bin/sh\ntouch /etc/customized\n')
  await chmod(script, 0o755)
  const customized = await build(here, ['--customize', script])
  assert.match(customized.said, /^Take the packages of an earlier build: /m)
  assert.match((await build(here, ['--customize', script])).said, /^Take the image of/m)
  await writeFile(script, '#!/bin/sh\ntouch /etc/customized-otherwise\n')
  const otherwise = await build(here, ['--customize', script])
  assert.match(otherwise.said, /^Take the packages of an earlier build: /m)
  assert.is.not(otherwise.image.sha1, customized.image.sha1)
})
reusing('are not taken when they are damaged', async () => {
  const words = ['--customize', script]
  const good = await build(here, words)
  assert.match(good.said, /^Take the image of an earlier build: /m)
  // The image and the one in the cache are one file: whoever changes the one changes the other.
  const file = await open(good.image.path, 'r+')
  await file.write('damaged', 4096)
  await file.close()
  const again = await build(here, words)
  assert.match(again.said, /is damaged: it is made anew/)
  assert.is(again.image.sha1, good.image.sha1)
  // And what is written beside it, as a power cut leaves it.
  const kept = (await readdir(join(dir, 'cache/stages'), { recursive: true })).filter((name) =>
    /\/image-[^/]*\/about\.json$/.test(name),
  )
  assert.ok(kept.length > 0)
  for (const name of kept) await truncate(join(dir, 'cache/stages', name))
  const third = await build(here, words)
  assert.match(third.said, /is damaged: it is made anew/)
  assert.is(third.image.sha1, good.image.sha1)
})
reusing.run()
