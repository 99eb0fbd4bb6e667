import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openBase } from '../../lib/methods/base-image.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const BYTES = 8 << 20

/** A disk that is mostly holes, the end included. */
async function makeDisk(dir: string, name = 'disk.raw'): Promise<string> {
  const disk = join(dir, name)
  await writeFile(disk, 'boot sector')
  await truncate(disk, BYTES)
  return disk
}
const run = (dir: string, script: string) => execFileSync('sh', ['-c', script], { cwd: dir })

const opening = suite('openBase()')
for (const [name, command] of [
  ['base.tar', 'tar -cf base.tar disk.raw'],
  ['base.tar.gz', 'tar -czf base.tar.gz disk.raw'],
  ['base.tar.xz', 'tar -cJf base.tar.xz ./disk.raw'],
  ['sparse.tar', 'tar -Scf sparse.tar disk.raw'],
  ['base.raw.xz', 'xz -c disk.raw >base.raw.xz'],
  ['base.img.gz', 'gzip -c disk.raw >base.img.gz'],
  ['base.qcow2', 'tar -cJf base.qcow2 disk.raw'], // content counts, not the name
  ['more.tar', 'echo read me >README; tar -cf more.tar README disk.raw'],
  ['odd.tar', 'mv disk.raw "my disk"; tar -cf odd.tar "my disk"'],
] as const) {
  opening(`takes the disk out of ${name}`, () =>
    inTemporaryDir(async (dir) => {
      await makeDisk(dir)
      run(dir, command)
      const unpacked = join(dir, 'unpacked')
      assert.is(await openBase(join(dir, name), unpacked), unpacked)
      const { size, blocks } = await stat(unpacked)
      assert.is(size, BYTES)
      assert.ok(blocks * 512 < BYTES / 2, 'it is sparse')
      assert.is((await readFile(unpacked)).toString('latin1', 0, 11), 'boot sector')
    }),
  )
}
opening('leaves a disk as it is', () =>
  inTemporaryDir(async (dir) => {
    const disk = await makeDisk(dir, 'base.tar') // whatever it calls itself
    assert.is(await openBase(disk, join(dir, 'unpacked')), disk)
    const qcow2 = join(dir, 'base')
    await writeFile(qcow2, 'QFI\xfb', 'latin1')
    assert.is(await openBase(qcow2, join(dir, 'unpacked')), qcow2)
  }),
)
for (const [name, command, says] of [
  [
    'root.tar.xz',
    'mkdir etc; echo a >etc/passwd; echo b >etc/group; tar -cJf root.tar.xz etc',
    /it is a tar of 2 files, none of them a disk$/,
  ],
  ['two.tar', 'cp disk.raw b.raw; tar -cf two.tar b.raw disk.raw', /2 disks, b\.raw, disk\.raw$/],
  ['cut.raw.xz', 'xz -c disk.raw | head -c 900 >cut.raw.xz', /xz|unexpected end/i],
  ['none.img', 'true', /^Cannot use base image ".*none\.img": no such file or directory$/],
  ['empty.img', ': >empty.img', /it is empty$/],
] as const) {
  opening(`refuses ${name}`, () =>
    inTemporaryDir(async (dir) => {
      await makeDisk(dir)
      await mkdir(join(dir, 'x'))
      run(dir, command)
      const unpacked = join(dir, 'x/unpacked')
      assert.match(await refusal(openBase(join(dir, name), unpacked)), says)
      if (name !== 'cut.raw.xz') assert.not(existsSync(unpacked))
    }),
  )
}
opening.run()
