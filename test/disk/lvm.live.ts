/**
 * The volume group that we write, read by LVM2's own tools and by GRUB's. A kernel activates it when an
 * image boots: this machine's may have no device mapper.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mkfsRootEnv, mkfsRootWords, partitionDisk } from '../../lib/disk/assemble.ts'
import { type Layout, makeLayout, SMALLEST_DISK } from '../../lib/disk/layout.ts'
import { workDir } from '../live.ts'
import { lvm, report, sh, withLoop } from '../lvm-tools.ts'

const MIB = 1024 ** 2
const EPOCH = 1_700_000_000
const { dir, remove } = await workDir()

/** A disk of layout lvm with a file on it. */
async function makeDisk(name: string, bytes: number): Promise<{ disk: string; layout: Layout }> {
  const disk = join(dir, name)
  const tree = join(dir, 'tree')
  await writeFile(disk, '')
  await truncate(disk, bytes)
  await mkdir(join(tree, 'boot/grub'), { recursive: true })
  await writeFile(join(tree, 'boot/grub/grub.cfg'), 'menu\n')
  const layout = makeLayout('lvm', bytes, 'seed')
  await partitionDisk(disk, layout, { epoch: EPOCH })
  sh(mkfsRootWords(disk, layout, tree), mkfsRootEnv({ epoch: EPOCH }))
  return { disk, layout }
}

const reading = suite('a volume group, read by others')
reading.after(remove)
let made: { disk: string; layout: Layout }
reading('sfdisk finds the partition, of the type of LVM', async () => {
  made = await makeDisk('disk', SMALLEST_DISK + 3 * MIB)
  sh(['sfdisk', '--verify', '--quiet', made.disk])
  const type = sh(['sfdisk', '--part-type', made.disk, '3']).trim()
  assert.is(type, 'E6D6D379-F507-44C2-A23C-238F2A3DF928')
})
reading('pvck finds all headers, checksums and the text sound', () =>
  withLoop(made.disk, made.layout.system.offset, async (device) => {
    const headers = lvm(device, 'pvck', '--dump', 'headers', device)
    assert.match(headers, /metadata text at 4608 crc 0x[0-9a-f]+ # vgname rootvg seqno 1/)
    assert.match(lvm(device, 'pvck', '--dump', 'metadata', device), /creation_time = 1700000000/)
  }),
)
reading('pvck finds damage', async () => {
  const damaged = join(dir, 'damaged')
  sh(['cp', '--sparse=always', made.disk, damaged])
  const file = await open(damaged, 'r+')
  await file.write('X', made.layout.system.offset + 4096 + 512 + 100)
  await file.close()
  await withLoop(damaged, made.layout.system.offset, async (device) => {
    const check = () => lvm(device, 'pvck', '--dump', 'headers', device)
    assert.throws(check, /Found bad header or metadata values/)
  })
})
reading('vgck, pvs, vgs and lvs find one group, one volume, and nothing free', () =>
  withLoop(made.disk, made.layout.system.offset, async (device) => {
    lvm(device, 'vgck', 'rootvg')
    const { root, group } = made.layout
    const volume = root.length
    assert.is(
      report(device, 'pvs', 'vg_name,pv_size,pv_free,pe_start'),
      `rootvg ${volume} 0 1048576`,
    )
    assert.is(
      report(device, 'vgs', 'vg_name,vg_extent_size,vg_free,vg_attr'),
      'rootvg 4194304 0 wz--n-',
    )
    assert.is(report(device, 'lvs', 'lv_name,lv_size'), `rootlv ${volume}`)
    assert.is(report(device, 'lvs', 'lv_uuid').replaceAll('-', ''), group!.volumeId)
  }),
)
reading('e2fsck finds the file system where the volume begins', () =>
  withLoop(made.disk, made.layout.root.offset, async (device) => {
    sh(['e2fsck', '-fn', device])
  }),
)
reading('GRUB reads files through the volume, as a whole disk', () => {
  const read = (...words: string[]) => sh(['grub-fstest', made.disk, ...words])
  assert.is(read('cat', '(lvm/rootvg-rootlv)/boot/grub/grub.cfg'), 'menu\n')
})
reading('lvm changes it: the volume grows with its disk', async () => {
  const { disk, layout } = await makeDisk('grown', SMALLEST_DISK)
  await truncate(disk, SMALLEST_DISK + 1024 * MIB)
  await withLoop(disk, layout.system.offset, async (device) => {
    lvm(device, 'pvresize', device)
    lvm(device, 'lvextend', '--extents', '+100%FREE', 'rootvg/rootlv')
    const headers = lvm(device, 'pvck', '--dump', 'headers', device)
    assert.match(headers, /vgname rootvg seqno 3/)
    const bytes = Number(report(device, 'lvs', 'lv_size'))
    assert.ok(bytes > layout.root.length + 1000 * MIB, `${bytes}`)
  })
})
reading('is the same up to its file system, byte for byte, for the same', async () => {
  const again = await makeDisk('again', SMALLEST_DISK + 3 * MIB)
  sh(['cmp', '--bytes', String(made.layout.root.offset), made.disk, again.disk])
})
reading.run()
