/** Damage of every kind has to be found: a check that can't fail says nothing. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fsck } from '../../../platform/ufs/fsck.ts'
import { mkufs } from './mkufs.ts'
import { layoutOf } from './mkufs-tables.ts'
import { imageDir } from './model.ts'

const { dir, remove } = imageDir()
const path = join(dir, 'image')
const geometry = { bytes: 1_450_000, sectorsPerTrack: 64 } // three groups, the last of them short
mkufs(path, geometry, [
  { type: 'directory', path: '/etc' },
  { type: 'file', path: '/etc/small', content: Buffer.alloc(1500, 's') },
  { type: 'file', path: '/etc/large', content: Buffer.alloc(200_000, 'L') },
  { type: 'symlink', path: '/bin', target: './usr/bin' },
  { type: 'link', path: '/twice', to: '/etc/small' },
  { type: 'fifo', path: '/fifo' },
  { type: 'directory', path: '/etc/sub' },
])
const layout = layoutOf(geometry)
const good = readFileSync(path)
const [ROOT, LOST, ETC, SMALL, LARGE, BIN, FIFO, SUB] = [2, 3, 4, 5, 6, 7, 8, 9] as const
const inodeAt = (inode: number) => layout.inodesAt * 1024 + inode * 128
const headerAt = (group: number) => (layout.start(group) + layout.headerAt) * 1024
const pointer = (inode: number, i: number) => good.readUInt32LE(inodeAt(inode) + 40 + 4 * i)
const contentAt = (inode: number) => pointer(inode, 0) * 1024
const SUPERBLOCK = 8192

/** Place of an entry in a directory, by its name. */
const entryAt = (directory: number, name: string) =>
  good.indexOf(`${name}\0`, contentAt(directory), 'latin1') - 8

const add = (data: Buffer, at: number, amount: number) =>
  data.writeInt32LE(data.readInt32LE(at) + amount, at)
const flip = (data: Buffer, at: number, bit: number) => (data[at + (bit >> 3)]! ^= 1 << (bit & 7))

const damage = suite('fsck()')
damage.after(remove)
damage('finds nothing in a good image', () => {
  writeFileSync(path, good)
  assert.equal(fsck(path), [])
})

for (const [name, change, finding] of [
  ['state', (d) => add(d, SUPERBLOCK + 132, 1), /fs_state does not go/],
  ['clean flag', (d) => (d[SUPERBLOCK + 209] = 0), /fs_clean is 0/],
  ['summary state', (d) => add(d, SUPERBLOCK + 136, 1), /fs_si is 1/],
  [
    'total of directories',
    (d) => add(d, SUPERBLOCK + 192, 1),
    /fs_cstotal: cs_ndir is 5, counted 4/,
  ],
  ['total of blocks', (d) => add(d, SUPERBLOCK + 196, -1), /fs_cstotal: cs_nbfree/],
  ['total of inodes', (d) => add(d, SUPERBLOCK + 200, 1), /fs_cstotal: cs_nifree/],
  ['total of fragments', (d) => add(d, SUPERBLOCK + 204, 1), /fs_cstotal: cs_nffree/],
  ['summary of directories', (d) => add(d, layout.dataAt * 1024, 1), /summary of group 0: cs_ndir/],
  [
    'summary of blocks',
    (d) => add(d, layout.dataAt * 1024 + 20, 1),
    /summary of group 1: cs_nbfree/,
  ],
  [
    'summary of inodes',
    (d) => add(d, layout.dataAt * 1024 + 40, 1),
    /summary of group 2: cs_nifree/,
  ],
  [
    'summary of fragments',
    (d) => add(d, layout.dataAt * 1024 + 12, 1),
    /summary of group 0: cs_nffree/,
  ],
  ['group magic', (d) => add(d, headerAt(1) + 4, 1), /group 1: cg_magic/],
  ['group number', (d) => add(d, headerAt(1) + 12, 1), /group 1: cg_cgx is 2, counted 1/],
  ['group cylinders', (d) => d.writeInt16LE(9, headerAt(1) + 16), /group 1: cg_ncyl is 9/],
  ['group inodes', (d) => d.writeInt16LE(9, headerAt(1) + 18), /group 1: cg_niblk is 9/],
  ['group size', (d) => add(d, headerAt(2) + 20, 1), /group 2: cg_ndblk/],
  ['group directories', (d) => add(d, headerAt(0) + 24, 1), /group 0: cs_ndir/],
  ['group blocks', (d) => add(d, headerAt(2) + 28, 1), /group 2: cs_nbfree/],
  ['group free inodes', (d) => add(d, headerAt(2) + 32, 1), /group 2: cs_nifree/],
  ['group fragments', (d) => add(d, headerAt(0) + 36, 1), /group 0: cs_nffree/],
  ['block rotor', (d) => d.writeInt32LE(4800, headerAt(0) + 40), /cg_rotor is 4800/],
  ['fragment rotor', (d) => d.writeInt32LE(-1, headerAt(0) + 44), /cg_frotor is -1/],
  ['inode rotor', (d) => d.writeInt32LE(384, headerAt(0) + 48), /cg_irotor is 384/],
  ['count of runs', (d) => add(d, headerAt(0) + 52 + 4, 1), /group 0: cg_frsum\[1\]/],
  ['count of longest runs', (d) => add(d, headerAt(1) + 52 + 12, 1), /group 1: cg_frsum\[3\]/],
  [
    'blocks of a cylinder',
    (d) => add(d, headerAt(2) + layout.totalsAt, 1),
    /group 2: cg_btot\[0\]/,
  ],
  [
    'rotational positions',
    (d) => flip(d, headerAt(2) + layout.positionsAt + 6, 0),
    /group 2: cg_b\[3\]/,
  ],
  [
    'overlapping tables',
    (d) => d.writeInt32LE(170, headerAt(1) + 96),
    /group 1: its tables overlap/,
  ],
  [
    'free map, used fragment',
    (d) => flip(d, headerAt(0) + layout.freeMapAt, pointer(SMALL, 0)),
    /is used, not so in cg_blksfree/,
  ],
  [
    'free map, free fragment',
    (d) => flip(d, headerAt(2) + layout.freeMapAt, layout.dataAt + 9),
    /is free, not so in cg_blksfree/,
  ],
  [
    'inode map, used inode',
    (d) => flip(d, headerAt(0) + layout.inodeMapAt, SMALL),
    /inode 5 is used, not so in cg_iused/,
  ],
  [
    'inode map, free inode',
    (d) => flip(d, headerAt(1) + layout.inodeMapAt, 7),
    /inode 71 is free, not so in cg_iused/,
  ],
  [
    'block of two files',
    (d) => d.writeUInt32LE(pointer(SMALL, 0), inodeAt(LARGE) + 40),
    /has a block at|which inode 5 has/,
  ],
  [
    'block among the tables',
    (d) => d.writeUInt32LE(28, inodeAt(LARGE) + 40),
    /inode 6 has fragment 28, which is a table/,
  ],
  ['block outside', (d) => d.writeUInt32LE(0x7fffffff, inodeAt(LARGE) + 44), /outside or across/],
  [
    'block across blocks',
    (d) => d.writeUInt32LE(pointer(LARGE, 1) + 1, inodeAt(LARGE) + 44),
    /outside or across/,
  ],
  [
    'block beyond the end',
    (d) => d.writeUInt32LE(4700, inodeAt(SMALL) + 44),
    /inode 5 has block 1, beyond/,
  ],
  [
    'indirect block beyond the end',
    (d) => d.writeUInt32LE(4700, inodeAt(SMALL) + 88),
    /inode 5 has an indirect block/,
  ],
  ['triple indirect block', (d) => d.writeUInt32LE(4700, inodeAt(LARGE) + 96), /triple/],
  [
    'pointer in an indirect block',
    (d) => d.writeUInt32LE(1, pointer(LARGE, 12) * 1024),
    /inode 6 has fragment 1,|across/,
  ],
  ['lost block', (d) => d.writeUInt32LE(0, inodeAt(LARGE) + 40), /is free, not so in cg_blksfree/],
  ['hole in a directory', (d) => d.writeUInt32LE(0, inodeAt(ETC) + 40), /inode 4 has a hole/],
  ['size', (d) => d.writeUInt32LE(5000, inodeAt(SMALL) + 8), /inode 5 /],
  ['huge size', (d) => d.writeUInt32LE(1, inodeAt(SMALL) + 12), /inode 5 has \d+ bytes/],
  ['sectors', (d) => add(d, inodeAt(SMALL) + 104, 2), /inode 5 has 4 sectors and says 6/],
  ['sectors of a fifo', (d) => add(d, inodeAt(FIFO) + 104, 2), /inode 8 has sectors/],
  ['mode', (d) => d.writeUInt16LE(0x3000, inodeAt(SMALL)), /inode 5 has mode 0x3000/],
  ['short uid', (d) => d.writeUInt16LE(7, inodeAt(SMALL) + 4), /two values of uid/],
  ['long gid', (d) => d.writeUInt32LE(70000, inodeAt(SMALL) + 120), /two values of gid/],
  ['ACL', (d) => add(d, inodeAt(SMALL) + 112, 99), /inode 5 has 99 as ACL, which is none/],
  ['extended attributes', (d) => add(d, inodeAt(SMALL) + 124, 9), /extended attributes/],
  [
    'link count of a file',
    (d) => d.writeInt16LE(1, inodeAt(SMALL) + 2),
    /inode 5 has 2 names and says 1/,
  ],
  [
    'link count of a directory',
    (d) => d.writeInt16LE(2, inodeAt(ETC) + 2),
    /inode 4 has 3 names and says 2/,
  ],
  [
    'inode without a name',
    (d) => d.fill(0, entryAt(ROOT, 'fifo'), entryAt(ROOT, 'fifo') + 4),
    /inode 8 has no name/,
  ],
  [
    'freed inode with a name',
    (d) => d.fill(0, inodeAt(FIFO), inodeAt(FIFO) + 128),
    /"\/fifo" has inode 8, which is free/,
  ],
  [
    'freed inode with content',
    (d) => d.writeUInt16LE(0, inodeAt(SMALL)),
    /inode 5 is free and not empty/,
  ],
  ['inode 1', (d) => d.writeUInt16LE(0x8000, inodeAt(1)), /inode 1 is used and must not be/],
  ['no root', (d) => d.writeUInt16LE(0x8000, inodeAt(ROOT)), /inode 2 is not a directory/],
  ['dot', (d) => add(d, contentAt(SUB), 1), /"\/etc\/sub" has a wrong "\."/],
  ['dot dot', (d) => d.writeUInt32LE(ROOT, contentAt(SUB) + 12), /"\/etc\/sub" has a wrong "\.\."/],
  [
    'directory with two names',
    (d) => d.writeUInt32LE(ETC, entryAt(ROOT, 'fifo')),
    /directory "\/(fifo|etc)" has a second name/,
  ],
  [
    'name that is there twice',
    (d) =>
      d.write('etcx', entryAt(ROOT, 'fifo') + 8) &&
      d.write('fifo', entryAt(ROOT, 'fifo') + 8) &&
      d.write('bin\0', entryAt(ROOT, 'etc') + 8),
    /"\/" has "bin" twice/,
  ],
  [
    'entry length 0',
    (d) => d.writeUInt16LE(0, entryAt(ROOT, 'bin') + 4),
    /"\/" has a broken entry/,
  ],
  [
    'entry beyond its chunk',
    (d) => d.writeUInt16LE(512, entryAt(ROOT, 'bin') + 4),
    /"\/" has a broken entry/,
  ],
  [
    'name longer than the entry',
    (d) => d.writeUInt16LE(200, entryAt(ROOT, 'bin') + 6),
    /"\/" has a broken entry/,
  ],
  ['slash in a name', (d) => d.write('/', entryAt(ROOT, 'bin') + 9), /"\/" has a broken entry/],
  [
    'name without its NUL',
    (d) => d.write('x', entryAt(ROOT, 'bin') + 11),
    /"\/" has a broken entry/,
  ],
  [
    'size of a directory',
    (d) => d.writeUInt32LE(500, inodeAt(LOST) + 8),
    /"\/lost\+found" has 500 bytes/,
  ],
  [
    'text behind a link',
    (d) => d.write('x', contentAt(BIN) + 20),
    /inode 7 has a link that goes on/,
  ],
  ['link without text', (d) => d.writeUInt32LE(0, inodeAt(BIN) + 8), /inode 7 /],
] as [string, (data: Buffer) => unknown, RegExp][]) {
  damage(`finds ${name}`, () => {
    const data = Buffer.from(good)
    change(data)
    assert.not.ok(data.equals(good))
    writeFileSync(path, data)
    const findings = fsck(path)
    assert.ok(
      findings.some((line) => finding.test(line)),
      `found: ${findings.join('; ')}`,
    )
  })
}
damage.run()
