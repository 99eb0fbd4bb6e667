import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSmallFile, readSmallInput } from '../../lib/cli/small-file.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

/** A pipe, and a program at its other end. */
async function withPipe(script: string, use: (path: string) => Promise<void>) {
  await inTemporaryDir(async (dir) => {
    const path = join(dir, 'pipe')
    execFileSync('mkfifo', [path])
    // Opened for both it does not wait for us; the line says that it is open.
    const program = spawn('sh', ['-c', `exec 3<>"$1"; echo open; ${script}`, 'sh', path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise((done) => program.stdout.once('data', done))
    try {
      await use(path)
    } finally {
      program.kill('SIGKILL')
    }
  })
}

const input = suite('readSmallInput()')
input('reads a file', () =>
  inTemporaryDir(async (dir) => {
    await writeFile(join(dir, 'file'), 'a: b\n')
    assert.is(String(await readSmallInput(join(dir, 'file'))), 'a: b\n')
  }),
)
input('reads what a program writes to a pipe, as it comes', () =>
  withPipe('echo a: b >&3; sleep 0.3; echo c: d >&3; sleep 0.3', async (path) => {
    assert.is(String(await readSmallInput(path)), 'a: b\nc: d\n')
  }),
)
input('does not wait where nobody writes', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'pipe')
    execFileSync('mkfifo', [path])
    assert.is(
      await refusal(readSmallInput(path, 'the key')),
      'Cannot read the key: nothing comes out of this pipe',
    )
  }),
)
input('does not take a pipe without an end for a text', () =>
  withPipe('cat /dev/zero >&3', async (path) => {
    assert.match(await refusal(readSmallInput(path)), /it has more than \d+ bytes/)
  }),
)
input('refuses what is neither', () =>
  inTemporaryDir(async (dir) => {
    await mkdir(join(dir, 'directory'))
    for (const [path, says] of [
      [join(dir, 'directory'), /it is a directory$/],
      [join(dir, 'none'), /: no such file/],
      ['/dev/zero', /it is no regular file/],
    ] as const) {
      assert.match(await refusal(readSmallInput(path)), says)
    }
  }),
)
input.run()

const file = suite('readSmallFile()')
file('takes no pipe: what is read again has to be there still', () =>
  withPipe('echo a: b >&3; sleep 1', async (path) => {
    assert.match(await refusal(readSmallFile(path)), /it is no regular file, but a pipe/)
  }),
)
file.run()
