/**
 * Runs the test files: `npm test` those named *.test.ts, `npm run test:live` those named *.live.ts,
 * and commands of their own those that take longer than CI has: `npm run test:recipes` those named
 * *.recipes.ts, `npm run test:images` *.images.ts, `npm run test:installer` *.installer.ts, `npm run test:faults`
 * *.faults.ts.
 *
 *   npm test                       every fast test
 *   npm test -- zfs                those whose path contains "zfs"
 *   npm run test:live -- debian    the same for the live tests
 *
 * Each file is a process of its own, so that one cannot leave state behind for the next, and its
 * output is shown when it fails. uvu's own runner is not used for two reasons: a suite without
 * `.run()` passes there in silence, here a file that ran no test fails; and the closing line is the
 * sum over all files. Fast files run side by side, two for each core as many of them wait; live ones
 * one after the other.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'

type Result = { file: string; passed: number; failed: number; seconds: number }

/** A file that takes longer hangs: it is ended, and counts as failed. */
const LIMIT_MS = {
  test: 120_000,
  live: 30 * 60_000,
  recipes: 60 * 60_000,
  images: 120 * 60_000, // beside others an image of another architecture takes most of an hour
  installer: 180 * 60_000,
  faults: 240 * 60_000, // a hundred builds that are ended at a random moment
}

/** Its tests are through, and the file goes on: a connection or a process that was left open keeps it. */
const LINGER_MS = 30_000

const root = fileURLToPath(new URL('..', import.meta.url))
const launcher = fileURLToPath(new URL('../lib/cli/launcher.js', import.meta.url))
const words = process.argv.slice(2)
const kind =
  (['live', 'recipes', 'images', 'installer', 'faults'] as const).find(
    (one) => words[0] === `--${one}`,
  ) ?? 'test'
const wanted = kind === 'test' ? words : words.slice(1)
const live = kind !== 'test'

const files = (await globby(`test/**/*.${kind}.ts`, { cwd: root }))
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))

/** One file in its own process; uvu's closing lines (`Total:`, `Passed:`) say what ran. */
function runFile(file: string): Promise<Result> {
  const started = Date.now()
  return new Promise((done) => {
    const child = spawn(process.execPath, [launcher, file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    })
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS[kind])
    let output = ''
    let lingers: NodeJS.Timeout | undefined
    let lingered = false
    const keep = (data: Buffer) => {
      output += data
      if (!lingers && /^  Duration: /m.test(output)) {
        lingers = setTimeout(() => (lingered = child.kill('SIGKILL')), LINGER_MS)
      }
      if (live) process.stderr.write(data) // a live test takes minutes: show its steps
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('close', (status) => {
      clearTimeout(limit)
      clearTimeout(lingers)
      const count = (word: string) =>
        Number(new RegExp(`^  ${word}: +(\\d+)`, 'm').exec(output)?.[1])
      const total = count('Total') || 0
      const passed = count('Passed') || 0
      const skipped = count('Skipped') || 0
      let failed = total - passed
      let complaint = ''
      const ends = output.match(/^  Total: +\d+$/gm)?.length ?? 0
      if (ends > 1) complaint = 'ran its suites in parts: await before the first .run(), not behind'
      else if (total === 0) complaint = 'ran no test: is .run() missing?'
      else if (skipped > 0 && process.env['CI']) complaint = `skipped ${skipped} in CI`
      else if (lingered) complaint = `did not end ${LINGER_MS / 1000} s after its last test`
      else if (status !== 0 && failed === 0) complaint = `ended with status ${status}`
      if (complaint) failed += 1
      const seconds = (Date.now() - started) / 1000
      if (failed > 0 && !live) process.stderr.write(output)
      console.log(
        `${failed > 0 ? 'FAIL' : 'ok  '} ${file}  ${passed}/${total}  ${seconds.toFixed(1)} s` +
          (complaint && `  ${complaint}`),
      )
      done({ file, passed, failed, seconds })
    })
  })
}

// Those that run whole commands take longest: begun last, one of them would keep a core idle.
const COMMANDS =
  /readme|cli\/(main|launcher|events)|image\/(create-image|fleet)|ci\/|publish\/(maas|manta|command)|platform\/files|distros\/answers/
const queue = [
  ...files.filter((file) => COMMANDS.test(file)),
  ...files.filter((file) => !COMMANDS.test(file)),
]
// What several live tests begin with is made once; who has set $LIVE_CACHE keeps it.
const shared =
  kind === 'live' && process.env['LIVE_CACHE'] === undefined
    ? await mkdtemp('/var/tmp/hybrid-shared-')
    : undefined
if (shared !== undefined) {
  process.env['LIVE_CACHE'] = shared
  process.on('exit', () => rmSync(shared, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
}
const results: Result[] = []
async function worker() {
  for (let file = queue.shift(); file; file = queue.shift()) results.push(await runFile(file))
}
await Promise.all(Array.from({ length: live ? 1 : 2 * availableParallelism() }, worker))

const sum = (key: 'passed' | 'failed') => results.reduce((total, result) => total + result[key], 0)
if (files.length === 0) console.log(`No test file matches ${wanted.join(' ')}`)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') > 0 || files.length === 0 ? 1 : 0
