/**
 * Our streams in front of a real `zfs receive`: zfs-fuse, of the OpenSolaris lineage. It has no
 * device nodes for volumes, so what it received is sent back by `zfs send`, read by our reader (which
 * thereby reads a genuine sender's stream) and compared with the disk.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { allocatedExtents } from '../../lib/disk/extents.ts'
import { gunzip, gzip } from '../../lib/image/gzip.ts'
import { writeImageFile } from '../../lib/image/image-file.ts'
import { restoreStream, summarizeStream } from '../../lib/zfs/restore.ts'
import { zvolStream } from '../../lib/zfs/write.ts'
import { needPackages, workDir } from '../live.ts'
import { Random } from '../random.ts'
import { makePool, sh } from '../zfs-pool.ts'

needPackages({
  'qemu-img': 'qemu-utils',
  'libdeflate-gzip': 'libdeflate-tools',
})

const MIB = 1024 ** 2
const POOL = `hybridtest${process.pid}`
const { dir, remove } = await workDir()

const receiving = suite('zfs receive')

let pool: Awaited<ReturnType<typeof makePool>> | undefined

receiving.before(async () => {
  try {
    pool = await makePool(POOL, dir)
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
receiving.after(async () => {
  try {
    await pool?.destroy()
  } finally {
    await remove()
  }
})

/** A sparse disk with data here and there, some of it all zeros though allocated. */
async function makeDisk(path: string, bytes: number, seed: number) {
  const random = new Random(seed)
  const file = await open(path, 'w')
  await file.truncate(bytes)
  for (let i = 0; i < 200; i++) {
    const offset = random.below(Math.floor(bytes / 4096)) * 4096
    const data =
      random.below(5) === 0 ? Buffer.alloc(65536) : random.bytes(1 + random.below(100_000))
    await file.write(
      data.subarray(0, bytes - offset),
      0,
      Math.min(data.length, bytes - offset),
      offset,
    )
  }
  await file.write(Buffer.from('the end'), 0, 7, bytes - 7)
  await file.close()
}

for (const [name, bytes, volblocksize] of [
  ['512 MiB in blocks of 8 KiB', 512 * MIB, 8192],
  ['6 GiB, beyond 32 bits', 6 * 1024 * MIB, 8192],
  ['64 MiB in blocks of 128 KiB', 64 * MIB, 131072],
  ['16 MiB in blocks of 512 bytes', 16 * MIB, 512],
] as const) {
  receiving(`takes ${name} and gives the same disk back`, async () => {
    const disk = join(dir, 'disk.raw')
    await makeDisk(disk, bytes, volblocksize)
    const image = await writeImageFile(
      gzip(
        zvolStream({
          path: disk,
          bytes,
          extents: await allocatedExtents(disk),
          guid: 0xfedcba9876543210n,
          createdAtSeconds: 1700000000,
          name: 'zones/test@final',
          volblocksize,
        }),
      ),
      join(dir, 'image.zfs.gz'),
    )
    const dump = sh(`gzip -dc ${image.path} | zstreamdump -v`)
    assert.match(dump, /Total DRR_END records = 1/)
    assert.not.match(dump, /checksum differs|invalid|error/i)
    const { checksum, records } = await summarizeStream(gunzip(image.path))
    assert.match(dump, new RegExp(`checksum = ${checksum}\\b`))
    assert.match(dump, new RegExp(`Total DRR_WRITE records = ${records['WRITE']}\\b`))

    sh(`gzip -dc ${image.path} | zfs receive ${POOL}/volume`)
    assert.is(sh(`zfs list -H -o name -t snapshot -r ${POOL}/volume`), `${POOL}/volume@final\n`)
    const properties = `zfs get -H -p -o value volsize,volblocksize ${POOL}/volume`
    assert.is(sh(properties), `${bytes}\n${volblocksize}\n`)
    assert.is(sh(`zfs get -H -p -o value creation ${POOL}/volume@final`), '1700000000\n')

    sh(`zfs send ${POOL}/volume@final >${dir}/genuine.zfs`)
    const back = join(dir, 'back.raw')
    const genuine = createReadStream(join(dir, 'genuine.zfs')) as AsyncIterable<Buffer>
    const summary = await restoreStream(genuine, back)
    assert.is(summary.volumeBytes, bytes)
    sh(`cmp ${disk} ${back}`)
    assert.ok((await stat(back)).blocks * 512 < 256 * MIB, 'restored sparse')
    sh(`zfs destroy -r ${POOL}/volume`)
    await rm(back)
  })
}
receiving('refuses a damaged stream, as our reader does', async () => {
  const disk = join(dir, 'disk.raw')
  await makeDisk(disk, 8 * MIB, 9)
  const stream = join(dir, 'stream.zfs')
  const source = { path: disk, bytes: 8 * MIB, guid: 5n, createdAtSeconds: 1, name: 'a/b@c' }
  await writeImageFile(zvolStream({ ...source, extents: await allocatedExtents(disk) }), stream)
  const file = await open(stream, 'r+')
  await file.write(Buffer.from('damage'), 0, 6, 100_000)
  await file.close()
  assert.throws(() => sh(`zfs receive ${POOL}/volume <${stream} 2>&1`))
})
receiving.run()
