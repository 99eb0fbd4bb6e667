import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../../lib/cli/errors.ts'
import { redact } from '../../lib/cli/redact.ts'
import { $, act, groupAlive, stopAll } from '../../lib/cli/run.ts'
import { session } from '../../lib/cli/session.ts'
import { shellWord } from '../../lib/cli/shell-words.ts'
import { printed } from '../printed.ts'

const running = suite('$')
running('passes each value as one word, an array as many', async () => {
  const { stdout } = await $`printf ${'%s\n'} ${'a b'} ${['c', "d'e", '$HOME', '']} x${1}y`
  assert.is(stdout, "a b\nc\nd'e\n$HOME\n\nx1y\n")
})
running('does not mind a program that ends without reading its input', async () => {
  const input = 'x'.repeat(1024 ** 2)
  for (let i = 0; i < 20; i++) {
    assert.is((await $({ input, nothrow: true })`sh -c ${['exit 3']}`).exitCode, 3)
  }
})
running('gives no standard input unless told, and the C locale', async () => {
  assert.is((await $`cat`).stdout, '')
  assert.is((await $({ input: 'hello\n' })`cat`).stdout, 'hello\n')
  assert.is((await $`printenv LC_ALL`).stdout, 'C\n')
  assert.is((await $({ env: { A: '1' } })`printenv A`).stdout, '1\n')
})
running('passes no options on that other programs have in the environment', async () => {
  Object.assign(process.env, { TAR_OPTIONS: '--verbose', OWN_VARIABLE: 'own', http_proxy: 'p' })
  try {
    const lines = async (bare: boolean) =>
      (await $({ bare, env: { A: '1' } })`env`).stdout.split('\n')
    const all = await lines(false)
    assert.ok(all.includes('OWN_VARIABLE=own') && all.includes('A=1'))
    assert.not.ok(all.some((line) => line.startsWith('TAR_OPTIONS')))
    const bare = await lines(true)
    assert.ok(['A=1', 'LC_ALL=C', 'http_proxy=p'].every((line) => bare.includes(line)))
    assert.ok(bare.some((line) => line.startsWith('PATH=')))
    assert.not.ok(bare.some((line) => /^(OWN_VARIABLE|TAR_OPTIONS)=/.test(line)))
  } finally {
    for (const name of ['TAR_OPTIONS', 'OWN_VARIABLE', 'http_proxy']) delete process.env[name]
  }
})
running('fails with the command and its last words', async () => {
  try {
    await $`sh -c ${'echo one >&2; echo two >&2; exit 7'}`
    assert.unreachable()
  } catch (error) {
    assert.instance(error, BuildError)
    assert.match((error as BuildError).message, /^sh exited 7: one \| two$/)
    assert.match((error as BuildError).hint ?? '', /The command was: sh -c 'echo one/)
  }
})
running('says which program is not there', async () => {
  try {
    await $`no-such-program-here x`
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /Cannot run no-such-program-here: it is not in \$PATH/)
  }
})
running('hints at a full disk', async () => {
  try {
    await $`sh -c ${'echo "x: No space left on device" >&2; exit 1'}`
    assert.unreachable()
  } catch (error) {
    assert.match((error as BuildError).hint ?? '', /disk is full/)
  }
})
running('resolves on any status with nothrow', async () => {
  assert.is((await $({ nothrow: true })`false`).exitCode, 1)
})
running('hands over lines as they come, redrawn ones too', async () => {
  const lines: string[] = []
  await $({ onLine: (line) => lines.push(line) })`printf ${'a\nb\rc'}`
  assert.equal(lines, ['a', 'b', 'c'])
})
running('stopAll() ends a program with everything it started', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'run-test-'))
  const file = join(dir, 'late')
  const work = $`sh -c ${`(sleep 2; touch ${file}) & sleep 30`}`.catch((error: Error) => error)
  await delay(200)
  const started = Date.now()
  await stopAll()
  assert.ok(Date.now() - started < 2000, 'it stops at once')
  assert.match(String(await work), /killed by SIGTERM|exited/)
  await delay(2100)
  assert.not(existsSync(file), 'the grandchild is gone as well')
  await rm(dir, { recursive: true })
})
running('a group whose processes have ended, but are not waited for, does not run', async () => {
  // A job with a group of its own, whose parent becomes a program that knows nothing of it.
  const parent = spawn('bash', ['-c', 'set -m; sleep 0.3 & echo $!; exec sleep 30'])
  const group = Number(await once(parent.stdout, 'data'))
  try {
    assert.is(groupAlive(group), true)
    await delay(600)
    process.kill(-group, 0) // it is there still
    assert.is(groupAlive(group), false)
  } finally {
    parent.kill('SIGKILL')
  }
})
running('--dry-run prints and does not run', async () => {
  session.dryRun = true
  const text = await printed(async () => {
    await $({ env: { A: 'b c' }, input: 'line' })`touch ${'/never there'}`
    assert.is(await act('write /x', () => 1, 2), 2)
  }).finally(() => (session.dryRun = false))
  assert.is(text, "A='b c' touch '/never there' <<'END'\nline\nEND\n# write /x\n")
})
running('--verbose prints a log that a shell runs again', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'run-test-'))
  session.verbose = true
  const log = await printed(async () => {
    await $({ input: "it's\n" })`tee ${join(dir, 'a b')}`
    await $`sh -c ${`echo "$0" >>'${dir}/c'`} ${'x $y'}`
  }).finally(() => (session.verbose = false))
  assert.match(log, /^# \d{4}-\d\d-\d\dT[\d:.]+Z$/m)
  await rm(join(dir, 'a b'))
  await writeFile(join(dir, 'log'), log)
  await $`sh ${join(dir, 'log')}`
  assert.is(await readFile(join(dir, 'a b'), 'utf8'), "it's\n")
  assert.is(await readFile(join(dir, 'c'), 'utf8'), 'x $y\nx $y\n')
  await rm(dir, { recursive: true })
})
running.run()

const acting = suite('act()')
acting('explains system errors by what was attempted', async () => {
  try {
    await act('write /nowhere/x', () => writeFile('/nowhere/x', ''))
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'Cannot write /nowhere/x: no such file or directory')
  }
})
acting.run()

const words = suite('shellWord(), shellCommand()')
words('quotes what a shell would read otherwise', () => {
  assert.is(shellWord('a-b/c=d:e,f'), 'a-b/c=d:e,f')
  assert.is(shellWord("it's"), `'it'\\''s'`)
  assert.is(shellWord(''), "''")
})
words('hides passwords in what is printed', async () => {
  session.dryRun = true
  const text = await printed(() => $({ env: { P: 'http://a:b@c' } })`curl http://me:secret@host/x`)
  session.dryRun = false
  assert.is(text, 'P=http://***@c curl http://***@host/x\n')
  assert.is(redact('{"proxy":"http://me:s@h:1"} a@b'), '{"proxy":"http://***@h:1"} a@b')
  assert.is(redact('{"a":"http://h","b":"x@y"}'), '{"a":"http://h","b":"x@y"}')
  assert.is(redact("'http://me:it's@h' http://h/a@b"), "'http://***@h' http://h/a@b")
  assert.is(redact('http://me:p@ss@w@rd@h/x'), 'http://***@h/x')
  assert.is(
    redact('get https://h/a.iso?X-Amz-Date=1&X-Amz-Signature=ab12&x=1 now'),
    'get https://h/a.iso?X-Amz-Date=1&X-Amz-Signature=***&x=1 now',
  )
  assert.is(redact('"https://h/a?access_token=t0k"'), '"https://h/a?access_token=***"')
})
words.run()
