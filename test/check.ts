/**
 * `npm run check`: formatting, types, fast tests. What CI demands of every commit.
 *
 *   npm run check -- prettier tsc    these alone: who has run the tests need not do it twice
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const checks: [string, string[]][] = [
  ['prettier', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']],
  ['tsc', ['node_modules/typescript/bin/tsc', '--project', 'tsconfig.json']],
  ['tests', ['lib/cli/launcher.js', 'test/run.ts']],
]
const wanted = process.argv.slice(2)
const unknown = wanted.filter((word) => !checks.some(([name]) => name === word))
if (unknown.length > 0) {
  const names = checks.map(([name]) => name).join(', ')
  console.error(`check: no check is called ${unknown.join(', ')}: choose of ${names}`)
  process.exit(2)
}
for (const [name, args] of checks) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) {
    console.error(`check: ${name} failed`)
    process.exit(1)
  }
  if (name !== 'tests') console.log(`check: ${name} passed`)
}
