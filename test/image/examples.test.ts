/** The examples of every create-image command are accepted by it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { parseArguments } from '../../lib/cli/options.ts'
import { createImageUsage } from '../../lib/image/create-image.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { parseStages } from '../../lib/image/stages.ts'
import { stamp } from '../recipe-of.ts'
import { inTemporaryDir } from '../temporary.ts'

const examples = suite('examples of --help')
for (const distro of distros) {
  const usage = createImageUsage(distro)
  examples(`of ${usage.name} are accepted`, () =>
    inTemporaryDir(async (dir) => {
      const script = join(dir, 'my-changes.sh')
      await writeFile(script, '#!/bin/sh\n')
      const commands = usage.examples.flatMap((example) =>
        example.replace(/^manifest=\$\((.*)\)$/, '$1').split(' && '),
      )
      assert.ok(commands.length > 5)
      for (const command of commands) {
        const [program, ...argv] = command.replace('./my-changes.sh', script).split(' ')
        assert.is(program, `./bin/${usage.name}`)
        const { options, words } = parseArguments(usage, argv, {})
        parseStages(words.slice(1))
        await resolveRecipe(distro, words[0]!, options, stamp, { HOME: dir })
      }
    }),
  )
}
examples.run()
