/**
 * What a larger disk costs: raw to zfs.gz with digests, as the whole command, for the same data on disks of 10, 100
 * and 1000 GiB, and for more data on the same disk. Time has to follow the data, and not the size of the disk.
 *
 *   node lib/cli/launcher.js bench/scaling.ts [FILES.tar]
 *
 * All are measured in turn, three times; ratios are of the medians. The data is files of a Debian system made by
 * mmdebstrap, or of a tar file that is named.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command, needPackages, workDir } from '../test/live.ts'
import { debianFiles, GIB, makeDisk, MIB } from './made-disk.ts'
import { type Measured, measure, median, table } from './measure.ts'

const CASES = [
  { diskGiB: 10, dataMiB: 256 },
  { diskGiB: 100, dataMiB: 256 },
  { diskGiB: 1000, dataMiB: 256 },
  { diskGiB: 10, dataMiB: 512 },
  { diskGiB: 10, dataMiB: 1024 },
]
const ROUNDS = 3

needPackages({
  mmdebstrap: 'mmdebstrap',
  'qemu-img': 'qemu-utils',
  'libdeflate-gzip': 'libdeflate-tools',
})
const { dir, remove } = await workDir()
try {
  const files = process.argv[2] ?? (await debianFiles(dir))
  const raw = (i: number) => join(dir, `${i}.raw`)
  for (const [i, { diskGiB, dataMiB }] of CASES.entries()) {
    await makeDisk(raw(i), files, diskGiB * GIB, dataMiB * MIB)
  }
  const runs: Measured[][] = CASES.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (const i of CASES.keys()) {
      const image = join(dir, 'image.zfs.gz')
      const measured = await measure(
        `exec node ${command('convert-image')} ${raw(i)} ${image} 2>/dev/null`,
      )
      if (measured.status !== 0) throw new Error(`It ended with status ${measured.status}`)
      runs[i]!.push(measured)
      await rm(image)
    }
  }
  const middle = (i: number, of: (run: Measured) => number) => median(runs[i]!.map(of))
  console.log(
    table([
      ['disk', 'data', 'wall s', 'to the first', 'CPU s', 'to the first'],
      ...CASES.map(({ diskGiB, dataMiB }, i) => {
        const of = (figure: (run: Measured) => number) => [
          middle(i, figure).toFixed(2),
          (middle(i, figure) / middle(0, figure)).toFixed(2),
        ]
        return [
          `${diskGiB} GiB`,
          `${dataMiB} MiB`,
          ...of(({ seconds }) => seconds),
          ...of(({ cpuSeconds }) => cpuSeconds),
        ]
      }),
    ]),
  )
} finally {
  await remove()
}
