/** Base images that name files of this machine, as qemu-img makes them: none of those gets into an image. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyBase } from '../../lib/methods/base-image.ts'
import { needPackages } from '../live.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

needPackages({ 'qemu-img': 'qemu-utils' })

const MIB = 1 << 20
const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { stdio: 'ignore' })

const base = suite('copyBase()')
for (const [what, words] of [
  ['stands on another file', ['-b', 'secret', '-F', 'raw']],
  ['has its data in another file', ['-o', 'data_file=secret,data_file_raw=on']],
] as const) {
  base(`refuses an image that ${what}`, () =>
    inTemporaryDir(async (dir) => {
      const [secret, evil, disk] = ['secret', 'evil.qcow2', 'disk'].map((name) => join(dir, name))
      await writeFile(secret!, 'of this machine')
      await truncate(secret!, MIB)
      qemuImg(
        'create',
        '-q',
        '-f',
        'qcow2',
        ...words.map((word) => word.replace('secret', secret!)),
        evil!,
        '1M',
      )
      await writeFile(secret!, 'of this machine')
      await truncate(secret!, MIB)
      await writeFile(disk!, '')
      await truncate(disk!, 2 * MIB)
      assert.match(await refusal(copyBase(evil!, disk!, 2 * MIB)), new RegExp(`: it ${what}`))
      assert.not.match(await readFile(disk!, 'latin1'), /of this machine/)
      // It is refused in a tar as well.
      execFileSync('tar', ['-cJf', 'evil.tar.xz', 'evil.qcow2'], { cwd: dir })
      const tar = join(dir, 'evil.tar.xz')
      assert.match(await refusal(copyBase(tar, disk!, 2 * MIB)), new RegExp(`: it ${what}`))
    }),
  )
}
base('takes an image that is whole', () =>
  inTemporaryDir(async (dir) => {
    const raw = join(dir, 'raw')
    await writeFile(raw, 'boot sector')
    await truncate(raw, MIB)
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, join(dir, 'good.qcow2'))
    const disk = join(dir, 'disk')
    await writeFile(disk, '')
    await truncate(disk, 2 * MIB)
    await copyBase(join(dir, 'good.qcow2'), disk, 2 * MIB)
    assert.match(await readFile(disk, 'latin1'), /^boot sector/)
  }),
)
for (const name of [
  '/var/tmp/hybrid-images-outside.raw',
  '--to-command=touch owned #.raw',
  '-x.raw',
]) {
  base(`takes "${name}" in a tar for a name, not for a place or an option`, () =>
    inTemporaryDir(async (dir) => {
      await writeFile(join(dir, 'content'), 'boot sector')
      const tar = join(dir, 'base.tar')
      const script =
        'import sys,tarfile; t=tarfile.open(sys.argv[1],"w"); i=t.gettarinfo(sys.argv[2]); i.name=sys.argv[3]; t.addfile(i,open(sys.argv[2],"rb"))'
      execFileSync('python3', ['-c', script, tar, join(dir, 'content'), name])
      const disk = join(dir, 'disk')
      await writeFile(disk, '')
      await truncate(disk, MIB)
      await copyBase(tar, disk, MIB)
      assert.match(await readFile(disk, 'latin1'), /^boot sector/)
      assert.equal((await readdir(dir)).sort(), ['base.tar', 'content', 'disk'])
      assert.not(existsSync('/var/tmp/hybrid-images-outside.raw'))
    }),
  )
}
base('has tar refuse a name that leads out of the directory', () =>
  inTemporaryDir(async (dir) => {
    const [tar, disk] = [join(dir, 'base.tar'), join(dir, 'disk')]
    await writeFile(join(dir, 'content'), 'boot sector')
    execFileSync('tar', ['-C', dir, '-P', '--transform=s,^,../,', '-cf', tar, 'content'])
    assert.match(await refusal(copyBase(tar, disk, MIB)), /Member name contains '\.\.'/)
    assert.not(existsSync(join(dir, '../content')))
  }),
)
base.run()
