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
 * sum over all files. Fast files run side by side, two for each core as many of them wait. The others, which look at
 * what a command leaves on the machine, have a machine of their own for it as root: processes, mounts, /tmp and
 * /var/tmp that nobody else sees. So two live ones run at a time; all other kinds one after the other.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import { INSTALLER_TOOLS, MACHINE_TOOLS, TOOLS } from '../lib/host/tools.ts'
import { apart, SHARED_AT } from './apart.ts'
import { needPackages } from './live.ts'

type Result = { file: string; passed: number; failed: number; seconds: number; said: string[] }

/** Of what a failed test, or a file that ended without a report, says. */
const REPORT_LINES = 16
const LINE_LENGTH = 240

/** A file that takes longer hangs: it is ended, and counts as failed. */
const LIMIT_MS = {
  test: 120_000,
  live: 45 * 60_000, // test-image has taken 30 minutes where the machine was slow and busy
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

/** Where tests that are apart have their files. */
const runDir =
  live && process.getuid?.() === 0 ? await mkdtemp('/var/tmp/hybrid-tests-') : undefined
/** What several begin with is made once; who has set $LIVE_CACHE keeps it. */
const shared = process.env['LIVE_CACHE'] ?? join(runDir ?? '', 'shared')
const children = new Set<ChildProcess>()
if (runDir !== undefined) {
  mkdirSync(shared, { recursive: true })
  process.env['LIVE_CACHE'] = SHARED_AT
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(runDir, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
}

/** One file in its own process; uvu's closing lines (`Total:`, `Passed:`) say what ran. */
function runFile(file: string): Promise<Result> {
  const started = Date.now()
  return new Promise((done) => {
    const words = [process.execPath, launcher, file]
    const own = runDir && join(runDir, file.replaceAll('/', '-'))
    const [program, ...args] = own === undefined ? words : apart(own, shared, words)
    const child = spawn(program!, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    })
    children.add(child)
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS[kind])
    let output = ''
    let lingers: NodeJS.Timeout | undefined
    let lingered = false
    const keep = (data: Buffer) => {
      output += data
      if (!lingers && /^  Duration: /m.test(output)) {
        lingers = setTimeout(() => (lingered = child.kill('SIGKILL')), LINGER_MS)
      }
      if (live) show(data)
    }
    // A live test takes minutes: show its steps, and whose they are.
    const whose = file.replace(/^test\//, '').replace(`.${kind}.ts`, '')
    let line = ''
    const show = (data: Buffer | string) => {
      const lines = (line + data).split('\n')
      line = lines.pop()!
      for (const one of lines) process.stderr.write(lanes > 1 ? `[${whose}] ${one}\n` : `${one}\n`)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('close', (status) => {
      children.delete(child)
      clearTimeout(limit)
      clearTimeout(lingers)
      if (live && line) show('\n')
      if (own !== undefined) rmSync(own, { recursive: true, force: true })
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
      const closing =
        `${failed > 0 ? 'FAIL' : 'ok  '} ${file}  ${passed}/${total}  ${seconds.toFixed(1)} s` +
        (complaint && `  ${complaint}`)
      console.log(closing)
      const said = failed > 0 ? [closing, ...reports(output)] : []
      done({ file, passed, failed, seconds, said })
    })
  })
}

/** uvu's reports of failed tests, each with its first lines; without one, as of a file that was ended, its last lines. */
function reports(output: string): string[] {
  const [, ...texts] = output.split(/^(?= {3}FAIL {2})/m)
  const all = texts.map((text) =>
    (text.split(/^ {2}Total: /m)[0] ?? '')
      .split('\n')
      .filter((line) => line.trim() && !/^ +at .*node_modules/.test(line))
      .slice(0, REPORT_LINES),
  )
  const lines = all.length > 0 ? all.flat() : output.trimEnd().split('\n').slice(-REPORT_LINES)
  return lines.map((line) => line.slice(0, LINE_LENGTH))
}

// Those that run whole commands or boot machines take longest: begun last, one of them would keep a core idle.
const LONG =
  kind === 'test'
    ? /readme|cli\/(main|launcher|events)|image\/(create-image|fleet)|ci\/|publish\/(maas|manta|command)|platform\/(files|retro)|distros\/answers|triton\/guest-access/
    : /image\/(create-image|test-image|reproducible|kills)|files\/retro-setup|methods\/installer|targets\/libvirt/
/** Takes programs from the machine, and has the product install them. */
const ALONE = /fresh-clone/
/** The daemon of zfs-fuse, of which there can be one. */
const ZFS = /zfs\/receive|disk\/zvol|image\/create-image\.live/
const collide = (file: string, other: string) => ZFS.test(file) && ZFS.test(other)

const twoAtOnce = kind === 'live' && runDir !== undefined && files.length > 1
const lanes = live ? (twoAtOnce ? 2 : 1) : 2 * availableParallelism()
const results: Result[] = []
const alone = live ? files.filter((file) => ALONE.test(file)) : []
for (const file of alone) results.push(await runFile(file))

const rest = files.filter((file) => !alone.includes(file))
const queue = [
  ...rest.filter((file) => LONG.test(file)),
  ...rest.filter((file) => !LONG.test(file)),
]
// While one file has a program installed another would find it half there.
if (twoAtOnce) {
  const tools = Object.values({ ...TOOLS, ...MACHINE_TOOLS, ...INSTALLER_TOOLS })
  needPackages(Object.fromEntries(tools.map(({ name, apt }) => [name, apt])))
}
const busy = new Set<string>()
async function worker() {
  while (queue.length > 0) {
    const i = queue.findIndex((file) => ![...busy].some((other) => collide(file, other)))
    const [file] = i < 0 ? [] : queue.splice(i, 1)
    if (file === undefined) await delay(500)
    else {
      busy.add(file)
      results.push(await runFile(file))
      busy.delete(file)
    }
  }
}
await Promise.all(Array.from({ length: lanes }, worker))

const sum = (key: 'passed' | 'failed') => results.reduce((total, result) => total + result[key], 0)
// Once more, at the end: of a long log the front is cut off, or not read.
const said = results.flatMap((result) => result.said)
if (said.length > 0) console.log(['', 'Failed:', ...said, ''].join('\n'))
if (files.length === 0) console.log(`No test file matches ${wanted.join(' ')}`)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') > 0 || files.length === 0 ? 1 : 0
