/** Events, as a program that follows a command gets them: from commands that are processes of their own. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))
const frame = fileURLToPath(new URL('./frame.ts', import.meta.url))

type Event = Record<string, unknown> & { event: string; time: string }
const parse = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
const kinds = (events: readonly Event[]) => events.map(({ event }) => event)

/** Run a body with events in a file. */
async function eventsOf(dir: string, body: string, more: string[] = [], env = {}) {
  const path = join(dir, 'events.jsonl')
  const words = [launcher, frame, body, '--events', path, ...more]
  const { status, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return { status, stderr, events: text === undefined ? undefined : parse(text) }
}

const good = `
  await step('First', async (report) => {
    report(0.1, 'too soon for an event')
    await delay(1100)
    report(0.5, 'half')
    report(0.6, 'again too soon')
  })
  log.warn('Mind http://me:secret@example.com/')
  emit({ event: 'result', result: { manifest: 'a' } })`

const events = suite('--events')
events('are what a command does, in order', () =>
  inTemporaryDir(async (dir) => {
    const { status, stderr, events: found = [] } = await eventsOf(dir, good)
    assert.is(status, 0, stderr)
    assert.equal(kinds(found), [
      'start',
      'step',
      'progress',
      'step-end',
      'warning',
      'result',
      'end',
    ])
    const [start, begun, progress, ended, warning, result, end] = found
    assert.equal([start!['command'], start!['words']], ['x', ['word']])
    assert.is(begun!['step'], 'First')
    assert.equal([progress!['fraction'], progress!['note']], [0.5, 'half'])
    assert.equal([ended!['step'], ended!['ok']], ['First', true])
    assert.ok(Number(ended!['seconds']) >= 1.1)
    assert.is(warning!['message'], 'Mind http://***@example.com/')
    assert.equal(result!['result'], { manifest: 'a' })
    assert.is(end!['status'], 0)
    for (const { time } of found) assert.ok(!Number.isNaN(Date.parse(time)))
  }),
)
events('end with what went wrong', () =>
  inTemporaryDir(async (dir) => {
    const body = `await step('Install', () => { throw new BuildError('Cannot', { hint: 'do' }) })`
    const { status, events: found = [] } = await eventsOf(dir, body)
    assert.is(status, 1)
    assert.equal(kinds(found), ['start', 'step', 'step-end', 'error', 'end'])
    assert.is(found[2]!['ok'], false)
    assert.equal([found[3]!['message'], found[3]!['hint']], ['Cannot', 'do'])
    assert.is(found[4]!['status'], 1)
  }),
)
events('are added to what is there, each with the name of its build', () =>
  inTemporaryDir(async (dir) => {
    await eventsOf(dir, '', [], { HYBRID_IMAGES_BUILD: 'debian-12' })
    const { events: found = [] } = await eventsOf(dir, '', [], { HYBRID_IMAGES_BUILD: 'rocky-9' })
    assert.equal(
      found.map(({ event, build }) => `${String(build)} ${event}`),
      ['debian-12 start', 'debian-12 end', 'rocky-9 start', 'rocky-9 end'],
    )
  }),
)
events('come while the work goes on, through a descriptor', async () => {
  const body = `await step('Long', () => delay(60_000, undefined, { signal: stopSignal() }))`
  const child = spawn(process.execPath, [launcher, frame, body, '--events', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  let text = ''
  await new Promise<void>((done) =>
    child.stdio[3]!.on('data', (data: Buffer) => {
      text += data
      if (text.includes('"Long"')) done()
    }),
  )
  child.kill('SIGTERM')
  await new Promise((done) => child.on('close', done))
  assert.equal(kinds(parse(text)), ['start', 'step', 'step-end', 'error', 'end'])
  assert.is(parse(text).at(-1)!['status'], 130)
})
events('whose reader goes away do not end the work', () =>
  inTemporaryDir(async (dir) => {
    const body = `await delay(300); log.warn('a'); log.warn('b'); process.stdout.write('done')`
    const line = `"$0" ${launcher} ${frame} "$1" --events 3 3>&1 >${dir}/out | true; cat ${dir}/out`
    const { stdout } = spawnSync('bash', ['-c', line, process.execPath, body], { encoding: 'utf8' })
    await new Promise((done) => setTimeout(done, 600))
    assert.is(stdout + (await readFile(join(dir, 'out'), 'utf8')), 'donedone')
  }),
)
events('go where they can be written, or nothing begins', () =>
  inTemporaryDir(async (dir) => {
    for (const [where, expected] of [
      ['77', /^Error: Cannot write events to descriptor 77: it is not open\n {2}Open it/],
      [dir, /^Error: Cannot write events to ".*": it is a directory/],
    ] as const) {
      const words = [launcher, frame, `console.error('begun')`, '--events', where]
      const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
      assert.is(status, 1)
      assert.match(stderr, expected)
      assert.not.match(stderr, /begun/)
    }
  }),
)
events('are not written to what Node has opened for itself', async () => {
  for (let number = 3; number < 20; number += 4 - (number % 2)) {
    const words = [launcher, frame, good, '--events', String(number)]
    const { status, signal, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
    assert.is(signal, null, `${number}: ${stderr}`)
    assert.is(status, 1, `${number}: ${stderr}`)
    assert.match(stderr, /^Error: Cannot write events to descriptor \d+: it is not open$/m)
  }
})
events('wait in a FIFO for a reader who comes later', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'events')
    spawnSync('mkfifo', [path])
    const words = [launcher, frame, 'await delay(500)', '--events', path]
    const child = spawn(process.execPath, words, { stdio: 'ignore' })
    const ended = new Promise((done) => child.on('close', done))
    await delay(300)
    const text = await readFile(path, 'utf8')
    assert.is(await ended, 0)
    assert.equal(kinds(parse(text)), ['start', 'end'])
  }),
)
events('are none of a dry run, which touches nothing', () =>
  inTemporaryDir(async (dir) => {
    const { status, events: found } = await eventsOf(dir, good, ['--dry-run'])
    assert.is(status, 0)
    assert.is(found, undefined)
  }),
)
events.run()
