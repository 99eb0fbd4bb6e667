/**
 * How long every command takes to say what it is for, and that it was called wrongly, against Node's own start,
 * `node -e 0`, in the same run and in turn with it.
 *
 *   node lib/cli/launcher.js bench/help.ts
 *
 * The median of five, behind one run that makes what is kept for the next (lib/cli/launcher.js). CPU time is what a
 * machine with other work tells truly: there every wall time is a multiple of it, Node's own too.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { command, root } from '../test/live.ts'
import { type Measured, measure, median, table } from './measure.ts'

const RUNS = 5
const LIMIT_MS = 300
const NODE = 'node -e 0'

const names = readdirSync(join(root, 'bin')).filter((name) => !name.includes('.'))
const scripts = new Map([
  [NODE, { script: `exec ${NODE}`, status: 0 }],
  ...names.flatMap((name) =>
    Object.entries({ '--help': 0, '--no-such-option': 2 }).map(
      ([word, status]) =>
        [
          `${name} ${word}`,
          { script: `exec ${command(name)} ${word} >/dev/null 2>&1`, status },
        ] as const,
    ),
  ),
])
const runs = new Map<string, Measured[]>([...scripts.keys()].map((name) => [name, []]))
for (let round = 0; round <= RUNS; round++) {
  for (const [name, { script, status }] of scripts) {
    const measured = await measure(script)
    if (measured.status !== status) {
      throw new Error(`${name} ended with status ${measured.status} in place of ${status}`)
    }
    if (round > 0) runs.get(name)!.push(measured)
  }
}
const middle = (name: string, of: (run: Measured) => number) =>
  1000 * median(runs.get(name)!.map(of))
const rows = [...scripts.keys()].map((name) => ({
  name,
  wall: middle(name, ({ seconds }) => seconds),
  cpu: middle(name, ({ cpuSeconds }) => cpuSeconds),
}))
const node = rows[0]!
console.log(
  table([
    ['', 'wall ms', 'to Node', 'CPU ms', 'to Node'],
    ...rows.map(({ name, wall, cpu }) => [
      name,
      wall.toFixed(0),
      (wall / node.wall).toFixed(1),
      cpu.toFixed(0),
      (cpu / node.cpu).toFixed(1),
    ]),
  ]),
)
const slow = rows.filter(({ wall }) => wall >= LIMIT_MS).length
console.log(`\n${slow} of ${rows.length} took ${LIMIT_MS} ms or more`)
