import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { gunzip, gzip, type GzipOptions } from '../../lib/image/gzip.ts'
import { Random } from '../random.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const MIB = 1 << 20
const random = new Random(2)
/** Text-like and random parts, more than two chunks long. */
const data = Buffer.concat([
  Buffer.alloc(5 * MIB, 'some text that repeats itself, '),
  random.bytes(MIB),
  Buffer.alloc(4 * MIB + 17, 'x'),
])

async function* inPieces(bytes: Buffer, size = 700_001): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
const zlib: GzipOptions = { compressor: 'zlib' }

const compressing = suite('gzip()')
compressing('is what gzip -dc reads, member after member', async () => {
  const packed = await collect(gzip(inPieces(data), zlib))
  assert.ok(execFileSync('gzip', ['-dc'], { input: packed, maxBuffer: 64 * MIB }).equals(data))
})
compressing('gives the same bytes however the input is cut, and carries no time', async () => {
  const one = await collect(gzip(inPieces(data), zlib))
  const other = await collect(gzip(inPieces(data, 12_345), { ...zlib, jobs: 1 }))
  assert.ok(one.equals(other))
  assert.is(one.readUInt8(3), 0) // no name, no comment
  assert.is(one.readUInt32LE(4), 0)
})
compressing('makes a valid file of nothing', async () => {
  const packed = await collect(gzip([], zlib))
  assert.is(gunzipSync(packed).length, 0)
})
compressing('passes on the error of its input', async () => {
  async function* broken() {
    yield Buffer.alloc(10)
    throw new Error('the disk is gone')
  }
  const error = await errorOf(() => collect(gzip(broken(), zlib)))
  assert.is(error.message, 'the disk is gone')
})
compressing('stops when asked to', async () => {
  const stop = new AbortController()
  async function* endless() {
    for (;;) {
      yield Buffer.alloc(MIB)
      stop.abort(new Error('enough'))
    }
  }
  const error = await errorOf(() => collect(gzip(endless(), { ...zlib, signal: stop.signal })))
  assert.is(error.message, 'enough')
})
compressing('says so when the compressor is not there', async () => {
  const path = process.env['PATH']
  process.env['PATH'] = '/no/such/dir'
  const error = await errorOf(() => collect(gzip([data], { compressor: 'libdeflate' }))).finally(
    () => (process.env['PATH'] = path),
  )
  assert.match(error.message, /Cannot run libdeflate-gzip: .*ENOENT/)
})
compressing.run()

/** Work with a script that stands in for libdeflate-gzip; `$dir` is the script's own directory. */
async function withStandIn<T>(script: string, work: (dir: string) => Promise<T>): Promise<T> {
  return inTemporaryDir(async (dir) => {
    const program = join(dir, 'libdeflate-gzip')
    await writeFile(program, `#!/bin/sh\ndir=${dir}\n${script}\n`, { mode: 0o755 })
    const path = process.env['PATH']
    process.env['PATH'] = `${dir}:${path}`
    try {
      return await work(dir)
    } finally {
      process.env['PATH'] = path
    }
  })
}
const compressor = 'libdeflate'
/** The processes that a stand-in noted are gone by now, and not a moment later. @returns how many they were */
async function allGone(dir: string): Promise<number> {
  const pids = (await readFile(join(dir, 'pids'), 'utf8')).trim().split('\n').map(Number)
  for (const pid of pids) assert.not(alive(pid), `Process ${pid} is still there`)
  return pids.length
}
/** Resolves when so many processes have begun. */
async function started(dir: string, count: number): Promise<void> {
  const pids = () => readFile(join(dir, 'pids'), 'utf8').catch(() => '')
  while ((await pids()).trim().split('\n').filter(Boolean).length < count) await delay(10)
}
function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const programs = suite('gzip() through libdeflate-gzip')
programs('keeps the order, whichever chunk is done first', () =>
  // The first to come waits longest.
  withStandIn('mkdir $dir/first 2>/dev/null && sleep 0.2; exec gzip -nc', async () => {
    const packed = await collect(gzip(inPieces(data), { compressor }))
    assert.ok(gunzipSync(packed).equals(data))
  }),
)
for (const [how, script, expected] of [
  ['fails', 'echo no luck >&2; exit 3', 'Cannot compress: libdeflate-gzip exited 3: no luck'],
  ['fails without reading', 'exec <&-; exit 1', 'Cannot compress: libdeflate-gzip exited 1'],
  ['is killed', 'kill -9 $$', 'Cannot compress: libdeflate-gzip was killed by SIGKILL'],
] as const) {
  programs(`says so when it ${how}`, () =>
    withStandIn(script, async () => {
      const error = await errorOf(() => collect(gzip(inPieces(data), { compressor })))
      assert.is(error.name, 'BuildError')
      assert.is(error.message, expected)
    }),
  )
}
// Compresses the first chunk, which alone begins with "some", once three processes are there; is stuck
// with any other.
const STUCK =
  'echo $$ >>$dir/pids; cat >$dir/$$; test "$(head -c 4 $dir/$$)" = some || exec sleep 60; ' +
  'until test $(wc -l <$dir/pids) -ge 3; do sleep 0.01; done; exec gzip -nc <$dir/$$'
programs('ends its processes when the reader stops early', () =>
  withStandIn(STUCK, async (dir) => {
    for await (const member of gzip(inPieces(data), { compressor, jobs: 3 })) {
      assert.ok(member.length > 0)
      break
    }
    assert.is(await allGone(dir), 3)
  }),
)
programs('ends its processes when the signal is aborted', () =>
  withStandIn('echo $$ >>$dir/pids; exec sleep 60', async (dir) => {
    const stop = new AbortController()
    void started(dir, 3).then(() => stop.abort(new Error('enough')))
    const options = { compressor, signal: stop.signal, jobs: 3 } as const
    const error = await errorOf(() => collect(gzip(inPieces(data), options)))
    assert.is(error.message, 'enough')
    assert.is(await allGone(dir), 3)
  }),
)
programs('ends its processes when its input fails', () =>
  withStandIn('echo $$ >>$dir/pids; exec sleep 60', async (dir) => {
    async function* broken() {
      yield* inPieces(data.subarray(0, 4 * MIB))
      await started(dir, 1)
      throw new Error('the disk is gone')
    }
    const error = await errorOf(() => collect(gzip(broken(), { compressor, jobs: 3 })))
    assert.is(error.message, 'the disk is gone')
    assert.is(await allGone(dir), 1)
  }),
)
programs.run()

const reading = suite('gunzip()')
const fails = (bytes: Buffer) =>
  inTemporaryDir(async (dir) => {
    await writeFile(join(dir, 'x.gz'), bytes)
    const error = await errorOf(() => collect(gunzip(join(dir, 'x.gz'))))
    return error.message.replace(dir, '')
  })
reading('reads files of several members', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'x.gz')
    await writeFile(path, await collect(gzip(inPieces(data), zlib)))
    assert.ok((await collect(gunzip(path))).equals(data))
  }),
)
reading('tells what is wrong', async () => {
  const packed = gzipSync(random.bytes(1000))
  assert.is(
    await fails(Buffer.from('hello, hello')),
    'Cannot decompress "/x.gz": it is no gzip file',
  )
  assert.is(await fails(packed.subarray(0, 900)), 'Cannot decompress "/x.gz": it is cut off')
  packed[500]! ^= 0xff
  assert.is(await fails(packed), 'Cannot decompress "/x.gz": its content is damaged')
  const error = await errorOf(() => collect(gunzip('/no/such.gz')))
  assert.is(error.message, 'Cannot read "/no/such.gz": no such file or directory')
})
reading.run()
