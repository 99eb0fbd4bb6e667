import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { compareContainers, gzipFacts } from '../../lib/compare/containers.ts'
import type { StreamSummary } from '../../lib/zfs/restore.ts'
import { Random } from '../random.ts'
import { inTemporaryDir } from '../temporary.ts'

const header = suite('gzipFacts()')
header('reads time and name as gzip itself writes them, and that there are none', () =>
  inTemporaryDir(async (dir) => {
    await writeFile(join(dir, 'disk.img'), 'x')
    execFileSync('touch', ['-d', '@86400', 'disk.img'], { cwd: dir })
    const gzip = (...words: string[]) =>
      new Map(gzipFacts(execFileSync('gzip', [...words, '-c', 'disk.img'], { cwd: dir })))
    const named = gzip('-N')
    assert.is(named.get('file name'), 'disk.img')
    assert.is(named.get('time'), '1970-01-02T00:00:00.000Z')
    const bare = gzip('-n', '-9')
    assert.equal([bare.get('file name'), bare.get('time')], ['none', 'none'])
    assert.is(bare.get('extra flags'), '0x2')
  }),
)
header('any bytes give some answer', () => {
  const random = new Random(1)
  for (let n = 0; n < 200; n++) {
    const bytes = random.bytes(random.below(60))
    assert.is(gzipFacts(bytes).length > 0, bytes.length >= 10)
  }
})
header.run()

const containers = suite('compareContainers()')
const stream: StreamSummary = {
  ...{ name: 'zones/x@final', guid: 1n, createdAtSeconds: 0, volblocksize: 8192 },
  ...{ volumeBytes: 8192, dataBytes: 0, records: {}, checksum: '0/0/0/0' },
}
containers('names the fields that differ; those of time not, when told so', async () => {
  const of = async (change: Partial<StreamSummary>, ignoreTimes: boolean) => {
    const a = { path: '', format: 'zfs', stream } as const
    const b = { ...a, stream: { ...stream, ...change } }
    const [part] = await compareContainers(a, b, { ignoreTimes })
    return part!.differences.map(({ what }) => what)
  }
  assert.equal(await of({}, false), [])
  assert.equal(await of({ guid: 2n }, true), ['guid'])
  const later = { createdAtSeconds: 9, checksum: '1/1/1/1' }
  assert.equal(await of(later, false), ['created', 'checksum'])
  assert.equal(await of(later, true), [])
})
containers('two formats have nothing to compare', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'a.gz')
    await writeFile(path, gzipSync('x'))
    const [a, b] = [{ path, format: 'tgz' } as const, { path, format: 'dd.gz' } as const]
    assert.equal(await compareContainers(a, b, { ignoreTimes: false }), [])
    const [part] = await compareContainers(a, a, { ignoreTimes: false })
    assert.is(part!.part, 'gzip header')
  }),
)
containers.run()
