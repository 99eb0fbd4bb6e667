/** The frame of commands, run as processes of their own: exit status, streams, signals, clean-up. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))
const frame = fileURLToPath(new URL('./frame.ts', import.meta.url))

type Ended = { status: number | null; stdout: string; stderr: string; left: string[] }

/** Run a body; \`after\` gets the process once it has printed "ready". */
function command(
  body: string,
  after?: (child: { kill: (signal: NodeJS.Signals) => void }) => unknown,
  args: string[] = [],
  output?: number,
): Promise<Ended> {
  return inTemporaryDir(async (dir) => {
    const made = join(dir, 'tmp')
    await mkdir(made)
    const child = spawn(process.execPath, [launcher, frame, body, ...args], {
      env: { ...process.env, TMPDIR: made },
      stdio: ['ignore', output ?? 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout?.on('data', (data: Buffer) => {
      if (!stdout.includes('ready') && String(data).includes('ready')) void after?.(child)
      stdout += data
    })
    child.stderr!.on('data', (data: Buffer) => (stderr += data))
    const status = await new Promise<number | null>((done) => child.on('close', done))
    return { status, stdout, stderr, left: await readdir(made) }
  })
}

const ending = suite('main()')
for (const [body, status, stderr] of [
  [`console.log('result')`, 0, /^$/],
  [
    `throw new BuildError('Cannot do it: no reason', { hint: 'Try again' })`,
    1,
    /^Error: Cannot do it: no reason\n {2}Try again\n$/,
  ],
  [`throw new UsageError('Wrong')`, 2, /^Error: Wrong\n$/],
  [`throw new HostError('Missing')`, 3, /^Error: Missing\n$/],
  [`throw new TypeError('oops')`, 1, /bug in hybrid-images.*\nTypeError: oops\n +at /s],
  [`await $\`false\``, 1, /^Error: false exited 1: \n {2}The command was: false\n$/],
  [
    `setTimeout(() => { throw new Error('late') }, 10); await delay(20_000)`,
    1,
    /bug in hybrid.*late/s,
  ],
] as [string, number, RegExp][]) {
  ending(`${body.slice(0, 40)}: status ${status}, nothing left`, async () => {
    const ended = await command(body)
    assert.match(ended.stderr, stderr)
    assert.is(ended.status, status)
    assert.equal(ended.left, [])
  })
}
for (const [when, body] of [
  ['at the end', `console.log('result')`],
  ['while it works', `console.log('first'); await delay(20_000)`],
] as const) {
  ending(`a result that can't be written, ${when}: it is said, and nothing left`, async () => {
    const full = openSync('/dev/full', 'w')
    const ended = await command(body, undefined, [], full)
    closeSync(full)
    assert.match(
      ended.stderr,
      /^Error: Cannot write the result to standard output: no space left on the device\n/m,
    )
    assert.is(ended.status, 1)
    assert.equal(ended.left, [])
  })
  ending(`a reader that has gone, ${when}: nothing is said, and nothing left`, async () => {
    const gone = await inTemporaryDir(async (dir) => {
      const path = join(dir, 'pipe')
      spawnSync('mkfifo', [path])
      const both = openSync(path, 'r+')
      const write = openSync(path, 'w')
      closeSync(both)
      return write
    })
    const ended = await command(body, undefined, [], gone)
    closeSync(gone)
    assert.is(ended.stderr, '')
    assert.is(ended.status, 1)
    assert.equal(ended.left, [])
  })
}
ending('a stack trace names the sources', async () => {
  const { stderr } = await command(`throw new TypeError('oops')`)
  const before = (await readFile(frame, 'utf8')).split('\nawait main(')[0]!
  assert.ok(stderr.includes(`${frame}:${before.split('\n').length + 1}:1\n`), stderr)
})
ending('--keep leaves the temporary directory, and names it', async () => {
  const { left, stderr } = await command(`throw new BuildError('x')`, undefined, ['--keep'])
  assert.is(left.length, 1)
  assert.match(stderr, new RegExp(`^Kept .*${left[0]}$`, 'm'))
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  ending(`${signal} while a program runs: status 130, the program and its children are gone`, () =>
    inTemporaryDir(async (dir) => {
      const late = join(dir, 'late')
      const body = `console.log('ready'); await step('Work', () => $\`sh -c \${'(sleep 1.5; touch ${late}) & sleep 60'}\`)`
      const ended = await command(body, (child) => delay(200).then(() => child.kill(signal)))
      assert.is(ended.status, 130)
      assert.match(ended.stderr, new RegExp(`\nError: Interrupted by ${signal}\n$`))
      assert.equal(ended.left, [])
      await delay(1600)
      assert.not(existsSync(late))
    }),
  )
}
ending('a signal while this process itself works: the undos wait for it to let go', async () => {
  const body = `console.log('ready')
    for (let i = 0; ; i++) { stopSignal().throwIfAborted(); await writeFile(dir + '/' + i, ''); await delay(5) }`
  const ended = await command(body, (child) => delay(100).then(() => child.kill('SIGINT')))
  assert.is(ended.status, 130)
  assert.equal(ended.left, [])
})
ending('a signal to a body that never lets go: it ends all the same', async () => {
  const body = `console.log('ready'); setInterval(() => {}, 1000); await new Promise(() => {})`
  const ended = await command(body, (child) => child.kill('SIGINT'))
  assert.is(ended.status, 130)
  assert.equal(ended.left, [])
})
ending('a body that waits for nothing: not a success', async () => {
  const { status } = await command(`await new Promise(() => {})`)
  assert.is.not(status, 0)
})
ending.run()
