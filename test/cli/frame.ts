/**
 * A command whose body is given as text, for tests of what is around every command, as a process of its own:
 *
 *   node lib/cli/launcher.js test/cli/frame.ts 'await delay(100)' [OPTION ...]
 *
 * It is one file for all bodies, as each file is bundled when it is first run. A body has a temporary directory, `dir`.
 */
import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, HostError, UsageError } from '../../lib/cli/errors.ts'
import { emit, eventsOption } from '../../lib/cli/events.ts'
import { log } from '../../lib/cli/log.ts'
import { main } from '../../lib/cli/main.ts'
import { step } from '../../lib/cli/progress.ts'
import { $ } from '../../lib/cli/run.ts'
import { stopSignal } from '../../lib/cli/session.ts'

const known = {
  $,
  BuildError,
  HostError,
  UsageError,
  delay,
  emit,
  log,
  step,
  stopSignal,
  writeFile,
}
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
  ...words: string[]
) => (...values: unknown[]) => Promise<void>

const [, , body, ...words] = process.argv
process.argv.splice(2, 1 + words.length, ...words, 'word')
const run = new AsyncFunction('dir', ...Object.keys(known), body!)
const bare = { help: '' }
const options = { verbose: bare, 'dry-run': bare, keep: bare, help: bare, ...eventsOption } as const
await main({ name: 'x', summary: '', words: ['WORD'], options, examples: [] }, async ({ scope }) =>
  run(await scope.tempDir('made'), ...Object.values(known)),
)
