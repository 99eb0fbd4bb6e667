import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { BuildError } from '../../lib/cli/errors.ts'
import { makeFifos, openFifos } from '../../lib/host/fifo.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

/** A program that has a pair open, as QEMU has it: for reading and writing, both. */
async function started(path: string, does: string) {
  const words = ['-c', `exec 3<>"$1.in" 4<>"$1.out"; echo ready; ${does}`, 'sh', path]
  const program = spawn('sh', words, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(program, 'exit')
  await once(program.stdout, 'data')
  return { ended }
}
/** Nothing else runs meanwhile. */
const stall = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const pair = suite('openFifos()')
pair('goes both ways, and ends with the other program', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'console')
    await makeFifos(path)
    const { ended } = await started(path, 'read line <&3; echo "It was $line" >&4')
    const stream = openFifos(path)
    stream.write('hello\n')
    assert.is(await text(stream), 'It was hello\n')
    if (!stream.closed) await once(stream, 'close')
    await ended
  }),
)
pair('takes what is written byte by byte while nobody reads', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'console')
    await makeFifos(path)
    // dd that must not wait: it ends at the first byte that is not taken.
    const { ended } = await started(path, 'dd if=/dev/zero bs=1 count=60000 oflag=nonblock >&4; :')
    const stream = openFifos(path)
    stall(500)
    assert.is((await text(stream)).length, 60_000)
    await ended
  }),
)
pair('is nobody else’s', () =>
  inTemporaryDir(async (dir) => {
    await makeFifos(join(dir, 'console'))
    for (const name of ['console.in', 'console.out']) {
      assert.is((await stat(join(dir, name))).mode & 0o777, 0o600)
    }
  }),
)
pair('says that nobody is there', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'console')
    await makeFifos(path)
    const error = await errorOf(async () => openFifos(path))
    assert.instance(error, BuildError)
    assert.match(error.message, /^Cannot connect to ".*console": ENXIO/)
  }),
)
pair.run()
