/**
 * README.md stays true: its usage text is what --help prints (`UPDATE=1 npm test -- readme` writes it anew). That
 * its commands run is shown in readme.live.ts.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LEFTOVERS } from '../lib/hygiene/leftovers.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const path = join(root, 'README.md')
const LEFTOVER_LIST = /(<!-- leftovers -->\n)[^]*?(<!-- end of leftovers -->)/
const BLOCK = /(<!-- usage: (\S+) -->\n)[^]*?(<!-- end -->)/g

/** Of which the usage text stands there. */
const SHOWN = [
  'create-image-debian',
  'setup-build-network',
  'build-retro',
  'test-image',
  'publish-image',
  'create-hybrid-image',
  'compare-images',
]

const readme = suite('README.md')
readme('shows the usage text as it is', async () => {
  const text = await readFile(path, 'utf8')
  assert.equal(
    [...text.matchAll(BLOCK)].map(([, , name]) => name),
    SHOWN,
  )
  const fresh = text.replaceAll(BLOCK, (_, from: string, name: string, to: string) => {
    const { stdout } = spawnSync(join(root, 'bin', name), ['--help'], { encoding: 'utf8' })
    return `${from}\n${stdout.trimEnd().replaceAll(/^(?=.)/gm, '    ')}\n\n${to}`
  })
  if (process.env['UPDATE']) await writeFile(path, fresh)
  else assert.is(text, fresh)
})
readme('names every leftover', async () => {
  const text = await readFile(path, 'utf8')
  assert.match(text, LEFTOVER_LIST)
  const list = Object.entries(LEFTOVERS).map(([name, what]) => `- \`${name}\`: ${what}`)
  const fresh = text.replace(
    LEFTOVER_LIST,
    (_, from: string, to: string) => `${from}\n${list.join('\n')}\n\n${to}`,
  )
  if (process.env['UPDATE']) await writeFile(path, fresh)
  else assert.is(text, fresh)
})
readme('has commands where readme.live.ts finds them: in fences are Buildbot’s alone', async () => {
  const fences = (await readFile(path, 'utf8')).match(/^```[^]*?^```$/gm) ?? []
  const commands = /^(\.\/bin\/|npm |node |make |bench\/|buildbot)/m
  assert.equal(
    fences.filter((fence) => commands.test(fence)).map((fence) => fence.split('\n')[1]),
    ['buildbot create-master --config=/srv/hybrid-images/ci/buildbot/master.cfg /srv/master'],
  )
})
readme.run()
