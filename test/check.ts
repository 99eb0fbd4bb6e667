/** `npm run check`: formatting, types, fast tests. What CI demands of every commit. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const checks: [string, string[]][] = [
  ['prettier', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']],
  ['tsc', ['node_modules/typescript/bin/tsc', '--project', 'tsconfig.json']],
  ['tests', ['lib/cli/launcher.js', 'test/run.ts']],
]
for (const [name, args] of checks) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) {
    console.error(`check: ${name} failed`)
    process.exit(1)
  }
  if (name !== 'tests') console.log(`check: ${name} passed`)
}
