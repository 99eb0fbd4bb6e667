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

const readme = suite('README.md')
readme('shows the usage text as it is', async () => {
  const text = await readFile(path, 'utf8')
  const fresh = text.replaceAll(BLOCK, (_, from: string, name: string, to: string) => {
    const { stdout } = spawnSync(join(root, 'bin', name), ['--help'], { encoding: 'utf8' })
    return `${from}\n${stdout.trimEnd().replaceAll(/^(?=.)/gm, '    ')}\n\n${to}`
  })
  if (process.env['UPDATE']) await writeFile(path, fresh)
  else assert.is(text, fresh)
})
readme('names every leftover', async () => {
  const text = await readFile(path, 'utf8')
  const list = Object.entries(LEFTOVERS).map(([name, what]) => `- \`${name}\`: ${what}`)
  const fresh = text.replace(
    LEFTOVER_LIST,
    (_, from: string, to: string) => `${from}\n${list.join('\n')}\n\n${to}`,
  )
  if (process.env['UPDATE']) await writeFile(path, fresh)
  else assert.is(text, fresh)
})
readme.run()
