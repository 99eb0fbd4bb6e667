/** What other people's checkers say of the files for a historic SmartOS: shellcheck and xmllint. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import { needPackages } from '../../live.ts'
import { files } from './guest.ts'

needPackages({ shellcheck: 'shellcheck', xmllint: 'libxml2-utils' })
const here = fileURLToPath(new URL('.', import.meta.url))

const checkers = suite('checkers')
checkers('shellcheck has nothing to say of the shell scripts', async () => {
  const scripts: string[] = []
  for (const name of await globby('**', { cwd: files })) {
    if ((await readFile(join(files, name), 'utf8')).startsWith('#!/usr/bin/bash\n')) {
      scripts.push(join(files, name))
    }
  }
  assert.is(scripts.length, 4)
  const words = ['-s', 'bash', '-S', 'warning']
  const fragment = ['-e', 'SC2034', join(files, 'smartdc/retro/network.conf')]
  for (const more of [[...scripts, join(here, 'smartos.sh')], fragment]) {
    const { status, stdout } = spawnSync('shellcheck', [...words, ...more], { encoding: 'utf8' })
    assert.is(status, 0, stdout)
  }
})
checkers('xmllint reads the manifests and the profile', async () => {
  const bundles = await globby('**/*.xml', { cwd: files, absolute: true })
  assert.is(bundles.length, 3)
  const { status, stderr } = spawnSync('xmllint', ['--nonet', '--noout', ...bundles], {
    encoding: 'utf8',
  })
  assert.is(status, 0, stderr)
  assert.is(spawnSync('xmllint', ['--noout', '-'], { input: '<a><b></a>' }).status, 1)
})
checkers.run()
