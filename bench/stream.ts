/**
 * From a raw disk to zfs.gz with its digests, against `pigz -9` and `gzip -9` over the same bytes, and against `zfs send`
 * of the same volume by zfs-fuse, alone and through `pigz -9`, in the same run.
 *
 *   node lib/cli/launcher.js bench/stream.ts [FILES.tar]
 *
 * The disk is 2 GiB with 1 GiB of what the product packs, files of a Debian system made by mmdebstrap (or of a tar file
 * that is named), in stretches with holes between them. The peers get the same send stream, ready made, and only
 * compress it; gzip gets an eighth of it (the seconds are those of that part, the throughput is comparable). Ours is
 * the whole command, from the start of Node on, and the median of three runs.
 *
 * zfs-fuse has no device nodes for volumes, so that its volume is what it received of our stream; its daemon's CPU time
 * is in no figure.
 *
 * CPU time tells more than wall time on a machine that has other work: both ratios are given. They depend on the data:
 * the more a file repeats itself, the longer gzip -9 searches.
 */
import { spawn } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allocatedExtents } from '../lib/disk/extents.ts'
import { writeImageFile } from '../lib/image/image-file.ts'
import { Fletcher4 } from '../lib/zfs/fletcher4.ts'
import { zvolStream } from '../lib/zfs/write.ts'
import { needPackages, workDir } from '../test/live.ts'
import { makePool, sh } from '../test/zfs-pool.ts'
import { debianFiles, GIB, makeDisk, MIB } from './made-disk.ts'
import { measure, median, table, watchMemory } from './measure.ts'

const convert = fileURLToPath(new URL('../bin/convert-image', import.meta.url))

needPackages({
  mmdebstrap: 'mmdebstrap',
  pigz: 'pigz',
  'qemu-img': 'qemu-utils',
  'libdeflate-gzip': 'libdeflate-tools',
})
const { dir, remove } = await workDir()

/** A real ZFS sends the same volume: into a file as it is, and through pigz. */
async function timeZfsSend(
  time: (name: string, script: string, output: string, of: number) => Promise<void>,
  stream: string,
  bytes: number,
): Promise<void> {
  const pool = await makePool('hybridbench', dir, 4)
  try {
    sh(`zfs receive hybridbench/disk <${stream}`)
    const send = 'zfs send hybridbench/disk@final'
    const sent = join(dir, 'sent.zfs')
    await time('zfs send, not compressed', `exec ${send} >${sent}`, sent, bytes)
    const packed = join(dir, 'sent.zfs.gz')
    const script = `set -o pipefail; ${send} | pigz -9 >${packed}`
    await time('zfs send | pigz -9', script, packed, bytes)
  } finally {
    await pool.destroy()
  }
}

const disk = join(dir, 'disk.raw')
const image = join(dir, 'image.zfs.gz')
try {
  const files = process.argv[2] ?? (await debianFiles(dir))
  await makeDisk(disk, files, 2 * GIB, GIB)
  const stream = join(dir, 'stream.zfs')
  const { bytes } = await writeImageFile(
    zvolStream({
      path: disk,
      bytes: 2 * GIB,
      extents: await allocatedExtents(disk),
      guid: 1n,
      createdAtSeconds: 1,
      name: 'bench/disk@final',
    }),
    stream,
  )
  const part = join(dir, 'part.zfs')
  await measure(`head -c ${Math.floor(bytes / 8)} ${stream} >${part}`)

  type Rate = { mibPerSecond: number; cpuPerMib: number; size: number; of: number }
  const rates: Record<string, Rate> = {}
  const time = async (name: string, script: string, output: string, of: number) => {
    const { seconds, cpuSeconds, status } = await measure(script)
    if (status !== 0) throw new Error(`${name} ended with status ${status}`)
    const { size } = await stat(output)
    const mib = of / MIB
    rates[name] = { mibPerSecond: mib / seconds, cpuPerMib: cpuSeconds / mib, size, of }
  }
  const ours: Rate[] = []
  for (let i = 0; i < 3; i++) {
    await time(
      'ours',
      `rm -f ${image}; exec node ${convert} ${disk} ${image} 2>/dev/null`,
      image,
      bytes,
    )
    ours.push(rates['ours']!)
  }
  rates['ours']!.mibPerSecond = median(ours.map(({ mibPerSecond }) => mibPerSecond))
  rates['ours']!.cpuPerMib = median(ours.map(({ cpuPerMib }) => cpuPerMib))
  await time('pigz -9', `exec pigz -9 -c ${stream} >${image}.pigz`, `${image}.pigz`, bytes)
  await time(
    'gzip -9 (an eighth)',
    `exec gzip -9 -c ${part} >${image}.gzip`,
    `${image}.gzip`,
    bytes / 8,
  )
  await timeZfsSend(time, stream, bytes)
  console.log(
    `raw → zfs.gz, ${(bytes / MIB).toFixed(0)} MiB of stream, ${availableParallelism()} cores`,
  )
  console.log(
    table([
      ['', 'MiB/s', 'ours is', 'CPU ms/MiB', 'ours is', 'size', 'per cent'],
      ...Object.entries(rates).map(([name, { mibPerSecond, cpuPerMib, size, of }]) => [
        name,
        mibPerSecond.toFixed(1),
        `${(rates['ours']!.mibPerSecond / mibPerSecond).toFixed(1)} x`,
        (cpuPerMib * 1000).toFixed(1),
        `${(cpuPerMib / rates['ours']!.cpuPerMib).toFixed(1)} x`,
        String(size),
        ((100 * size) / of).toFixed(2),
      ]),
    ]),
  )
  const sizes = rates['ours']!.size / rates['pigz -9']!.size
  console.log(`size against pigz -9: ${sizes.toFixed(4)}\n`)

  const child = spawn('node', [convert, disk, join(dir, 'memory.zfs.gz')], { stdio: 'ignore' })
  const memory = watchMemory(child.pid!)
  await new Promise((done) => child.on('close', done))
  console.log(`peak memory, with all compressors: ${memory.peak().toFixed(0)} MiB`)

  const fletcher: number[] = []
  const block = Buffer.alloc(64 * MIB, 'some words to sum up, ')
  for (let i = 0; i < 5; i++) {
    const started = performance.now()
    const sum = new Fletcher4()
    for (let round = 0; round < 16; round++) sum.update(block)
    fletcher.push((16 * block.length) / GIB / ((performance.now() - started) / 1000))
  }
  console.log(`fletcher-4: ${median(fletcher).toFixed(2)} GiB/s (median of 5)`)
} finally {
  await remove()
}
