/** The guest's grow-root, with stand-ins for the programs that look at disks and change them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const script = fileURLToPath(new URL('../../sdc-vmtools/linux/smartdc/grow-root', import.meta.url))

type Disk = { root: string; volumes?: string; free?: number; growpart?: number }

/** Exit status, complaints, and the commands that change something. */
async function grow({ root, volumes = '/dev/vda3', free = 0, growpart = 0 }: Disk) {
  return inTemporaryDir(async (dir) => {
    const sys = join(dir, 'sys/class/block/vda3')
    await mkdir(sys, { recursive: true })
    await writeFile(join(sys, 'partition'), '3\n')
    const note = `echo "$(basename "$0") $*" >>${dir}/log`
    const programs = {
      findmnt: `echo ${root}`,
      lvs: 'echo "  rootvg"',
      pvs: `printf '  %s\\n' ${volumes}`,
      vgs: `echo "  ${free}"`,
      lsblk: 'echo vda',
      growpart: `${note}; exit ${growpart}`,
      pvresize: note,
      lvextend: note,
    }
    for (const [name, body] of Object.entries(programs)) {
      await writeFile(join(dir, name), `#!/bin/sh\n${body}\n`)
      await chmod(join(dir, name), 0o755)
    }
    const { status, stderr } = spawnSync('sh', [script], {
      env: { PATH: `${dir}:${process.env['PATH']}`, SYSFS: join(dir, 'sys') },
      encoding: 'utf8',
    })
    const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '')
    return { status, stderr, changes: log.split('\n').filter(Boolean) }
  })
}
const root = '/dev/mapper/rootvg-rootlv'

const growing = suite('grow-root')
growing('grows partition, physical volume, logical volume and file system', async () => {
  const { status, changes } = await grow({ root, free: 1024 })
  assert.is(status, 0)
  assert.equal(changes, [
    'growpart /dev/vda 3',
    'pvresize --quiet /dev/vda3',
    `lvextend --quiet --resizefs --extents +100%FREE ${root}`,
  ])
})
growing('does nothing to a disk that is used to its end', async () => {
  const { status, changes } = await grow({ root, growpart: 1 })
  assert.is(status, 0)
  assert.not(changes.some((line) => line.startsWith('lvextend')))
})
growing('leaves a root on a partition to cloud-init', async () => {
  assert.equal(await grow({ root: '/dev/vda3' }), { status: 0, stderr: '', changes: [] })
})
growing('leaves a group of several disks alone, and says so', async () => {
  const { status, stderr, changes } = await grow({ root, volumes: '/dev/vda3 /dev/vdb' })
  assert.is(status, 0)
  assert.match(stderr, /volume group rootvg is on several disks/)
  assert.equal(changes, [])
})
growing('fails where the partition cannot be grown', async () => {
  assert.is((await grow({ root, growpart: 2 })).status, 1)
})
growing.run()
