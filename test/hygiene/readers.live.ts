/**
 * The readers of file systems on what their own tools have made: ext2 and ext4, XFS of both versions, a logical
 * volume, FAT, and tars of GNU and of Python. All of a system is found that was put in, and each leftover.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdir, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mkfsRootEnv, mkfsRootWords, partitionDisk } from '../../lib/disk/assemble.ts'
import { makeLayout, SMALLEST_DISK } from '../../lib/disk/layout.ts'
import { pagedBytes } from '../../lib/hygiene/bytes.ts'
import { isFat, openFat } from '../../lib/hygiene/fat.ts'
import { SystemFiles } from '../../lib/hygiene/files.ts'
import { findIn } from '../../lib/hygiene/hygiene.ts'
import { openDisk, openRootTar } from '../../lib/hygiene/open-disk.ts'
import { rootTarWords } from '../../lib/methods/root-tar.ts'
import { needPackages, workDir } from '../live.ts'
import { Random } from '../random.ts'
import { clean, origin, plants, type Tree, writeTree } from './plants.ts'

needPackages({
  'mkfs.xfs': 'xfsprogs',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  sfdisk: 'fdisk',
  python3: 'python3',
})

const { dir, remove } = await workDir()
const MIB = 1024 ** 2
const LONG_NAME = 'linux with a name of more than two pieces-6.1.0.conf'
const EPOCH = 1_700_000_000
const sh = (words: string[], env: Record<string, string> = {}) =>
  execFileSync(words[0]!, words.slice(1), {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  })

async function emptyDisk(name: string, bytes: number): Promise<string> {
  const disk = join(dir, name)
  await rm(disk, { force: true })
  await writeFile(disk, '')
  await truncate(disk, bytes)
  return disk
}

/** What mkfs.xfs -p reads: the tree below a directory. */
function prototypeOf(tree: string): string {
  const lines = (directory: string): string[] =>
    readdirSync(directory)
      .sort()
      .flatMap((name) => {
        const path = join(directory, name)
        const stat = lstatSync(path)
        if (stat.isSymbolicLink()) return [`${name} l--777 0 0 ${readlinkSync(path)}`]
        if (stat.isDirectory()) return [`${name} d--755 0 0`, ...lines(path), '$']
        return [`${name} ---644 0 0 ${path}`]
      })
  return ['boot', '0 0', 'd--755 0 0', ...lines(tree), '$', ''].join('\n')
}

type Maker = (tree: string) => Promise<{ kind: 'disk' | 'tar'; path: string }>

/** On the one partition of an MBR, at a place that no default has. */
const START = 3 * MIB
async function partitioned(bytes: number): Promise<string> {
  const disk = await emptyDisk('disk', START + bytes + MIB)
  execFileSync('sfdisk', ['--quiet', disk], {
    input: `label: dos\nstart=${START / 512}, size=${bytes / 512}, type=83\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  return disk
}

const ext =
  (...words: string[]): Maker =>
  async (tree) => {
    const bytes = 64 * MIB
    const disk = await partitioned(bytes)
    const env = mkfsRootEnv({ epoch: EPOCH })
    const options = ['-q', '-F', '-E', `offset=${START},root_owner=0:0`, '-N', '16000', '-d', tree]
    sh(['mke2fs', ...options, ...words, disk, `${bytes / 1024}k`], env)
    return { kind: 'disk', path: disk }
  }

const xfs =
  (...words: string[]): Maker =>
  async (tree) => {
    const bytes = 448 * MIB
    const volume = await emptyDisk('volume', bytes)
    const prototype = join(dir, 'prototype')
    await writeFile(prototype, prototypeOf(tree))
    sh(['mkfs.xfs', '-q', '-p', prototype, ...words, volume])
    const disk = await partitioned(bytes)
    const place = ['bs=1M', `seek=${START / MIB}`, 'conv=notrunc,sparse', 'status=none']
    sh(['dd', `if=${volume}`, `of=${disk}`, ...place])
    return { kind: 'disk', path: disk }
  }

const makers: Record<string, Maker> = {
  'ext4 on a partition': ext('-t', 'ext4'),
  'XFS on a partition': xfs(),
  async 'ext4 on a logical volume'(tree) {
    const disk = await emptyDisk('disk', SMALLEST_DISK)
    const layout = makeLayout('lvm', SMALLEST_DISK, 'seed')
    await partitionDisk(disk, layout, { epoch: EPOCH })
    sh(mkfsRootWords(disk, layout, tree), mkfsRootEnv({ epoch: EPOCH }))
    return { kind: 'disk', path: disk }
  },
  async 'a root tar'(tree) {
    const path = join(dir, 'root.tar')
    sh(rootTarWords(tree, path, EPOCH))
    return { kind: 'tar', path }
  },
}

/** Kinds that differ in their details, not in what is found on them. */
const variants: Record<string, Maker> = {
  'ext2, with maps of blocks': ext('-t', 'ext2', '-b', '1024'),
  'ext4 as Enterprise Linux 6 makes it': ext(
    '-t',
    'ext4',
    '-I',
    '256',
    '-O',
    '^64bit,^metadata_csum',
  ),
  async 'ext4 with indices of directories'(tree) {
    const made = await ext('-t', 'ext4', '-b', '1024')(tree)
    try {
      sh(['e2fsck', '-fyD', `${made.path}?offset=${START}`])
    } catch (error) {
      if ((error as { status?: number }).status !== 1) throw error // 1: it has changed something
    }
    return made
  },
  'XFS of version 4': xfs('-m', 'crc=0', '-n', 'ftype=0'),
  'XFS with small blocks': xfs('-b', 'size=1024', '-i', 'size=512'),
  'XFS with wide counts and large directories': xfs('-i', 'nrext64=1', '-n', 'size=16384'),
  async 'a tar of GNU, with long names in files of their own'(tree) {
    const path = join(dir, 'root.tar')
    sh(['tar', '--format=gnu', '-C', tree, '-cf', path, '.'])
    return { kind: 'tar', path }
  },
  async 'a tar of Python'(tree) {
    const path = join(dir, 'root.tar')
    const script = 'import sys,tarfile; t=tarfile.open(sys.argv[1],"w"); t.add(sys.argv[2],"")'
    sh(['python3', '-c', script, path, tree])
    return { kind: 'tar', path }
  },
}

async function withTree<T>(tree: Tree, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = join(dir, 'tree')
  await rm(directory, { recursive: true, force: true })
  await writeTree(tree, directory)
  return work(directory)
}

const found = async (tree: Tree, make: Maker) =>
  findIn(await withTree(tree, make), { origin, secrets: [], bytes: 0 })

/** A volume differs from a partition in where it begins alone: some are enough. */
const every: Record<string, number> = { 'ext4 on a logical volume': 8 }

const leftovers = suite('leftovers')
for (const [title, make] of Object.entries(makers)) {
  leftovers(`${title}: a clean system has none`, async () =>
    assert.equal(await found(clean, make), []),
  )
  leftovers(`${title}: what is planted is found, and nothing else`, async () => {
    for (const { name, tree, shows } of plants.filter((_, i) => i % (every[title] ?? 1) === 0)) {
      const findings = await found({ ...clean, ...tree }, make)
      const names = findings.map((finding) => finding.name)
      assert.equal(names, [name], `${Object.keys(tree)}: ${JSON.stringify(findings)}`)
      assert.match(findings[0]!.evidence, shows)
    }
  })
}
leftovers.run()

/** Everything that a reader may stumble over. */
async function writeHard(directory: string): Promise<void> {
  await writeTree(clean, directory)
  const many = join(directory, 'usr/share/many')
  await mkdir(many, { recursive: true })
  // Directories grow while files are written between their blocks: they have many pieces.
  for (let n = 0; n < 6000; n++) {
    await writeFile(
      join(many, `name-that-is-rather-long-${n}`),
      n % 7 === 0 ? 'x'.repeat(5000) : `${n}`,
    )
  }
  await writeFile(join(directory, 'usr/share/large'), Buffer.alloc(3 * MIB + 17, 'large '))
  const holes = await open(join(directory, 'usr/share/holes'), 'w')
  await holes.write('begin', 0)
  await holes.write('end', 900_000)
  await holes.close()
  await symlink('t'.repeat(59), join(directory, 'usr/l59'))
  await symlink('t'.repeat(60), join(directory, 'usr/l60'))
  await symlink(`${'d/'.repeat(400)}end`, join(directory, 'usr/l800'))
  let deep = join(directory, 'usr')
  for (let n = 0; n < 12; n++) deep = join(deep, `directory-${n}-of-a-long-name`)
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, 'n'.repeat(200)), 'deep')
}

/** Path to content, as this machine sees them. */
function truthOf(directory: string): Map<string, string> {
  const truth = new Map<string, string>()
  const visit = (path: string, inside: string) => {
    for (const name of readdirSync(path)) {
      const [file, shown] = [join(path, name), `${inside}/${name}`]
      const stat = lstatSync(file)
      if (stat.isDirectory()) {
        truth.set(shown, 'directory')
        visit(file, shown)
      } else if (stat.isSymbolicLink()) truth.set(shown, `-> ${readlinkSync(file)}`)
      else truth.set(shown, readFileSync(file, 'latin1').slice(0, MIB))
    }
  }
  visit(directory, '')
  return truth
}

function contentsOf(files: SystemFiles): Map<string, string> {
  const found = new Map<string, string>()
  for (const { path, stat } of files.walk('/')) {
    if (path === '/lost+found') continue
    if (stat.kind === 'directory') found.set(path, 'directory')
    else if (stat.kind === 'link') found.set(path, `-> ${files.link(path)}`)
    else found.set(path, files.text(path)!)
  }
  return found
}

const readers = suite('readers')
readers.after(remove)
const hard = join(dir, 'hard')
let truth: Map<string, string>
readers.before(async () => {
  await writeHard(hard)
  truth = truthOf(hard)
})
for (const [title, make] of Object.entries({ ...makers, ...variants })) {
  readers(`${title}: reads every file as it was written`, async () => {
    const { kind, path } = await make(hard)
    const file = await open(path)
    try {
      const contents = contentsOf(await (kind === 'disk' ? openDisk : openRootTar)(file))
      const bad = [...truth].filter(([name, text]) => contents.get(name) !== text)
      assert.equal(
        bad.map(([name]) => name),
        [],
      )
      assert.is(contents.size, truth.size)
    } finally {
      await file.close()
    }
  })
}
/** A disk with a system and a second file system, as sfdisk is told. */
async function twoFileSystems(table: string, starts: [number, number], fstab: string) {
  const disk = await emptyDisk('two', 160 * MIB)
  execFileSync('sfdisk', ['--quiet', disk], { input: table, stdio: ['pipe', 'ignore', 'ignore'] })
  const trees: [Tree, string[]][] = [
    [{ ...clean, '/etc/fstab': `# home\n${fstab} /home ext4 defaults 0 2\n` }, []],
    [{ '/ops/.bash_history': 'passwd root\n' }, ['-L', 'Homes', '-U', HOME_UUID]],
  ]
  for (const [i, [tree, words]] of trees.entries()) {
    await withTree(tree, async (directory) => {
      const place = `offset=${starts[i]! * MIB},root_owner=0:0`
      const options = ['-q', '-F', '-t', 'ext4', '-E', place, '-d', directory, ...words]
      sh(['mke2fs', ...options, disk, '60000k'], mkfsRootEnv({ epoch: EPOCH }))
      return { kind: 'disk', path: disk }
    })
  }
  return disk
}
const HOME_UUID = '22222222-2222-4222-8222-222222222222'
const PART_UUID = 'AAAAAAAA-2222-4222-8222-222222222222'
const GPT = `label: gpt
start=2048, size=${64 * 2048}
start=${70 * 2048}, size=${64 * 2048}, name="Homes of users", uuid=${PART_UUID}
`
const LOGICAL = `label: dos
start=2048, size=${64 * 2048}, type=83
start=${68 * 2048}, size=${80 * 2048}, type=5
start=${70 * 2048}, size=${64 * 2048}, type=83
`
const findingsOn = (path: string) =>
  findIn({ kind: 'disk', path }, { origin, secrets: [], bytes: 0 }).then((findings) =>
    findings.map(({ name, evidence }) => `${name}: ${evidence}`).sort(),
  )

readers(
  'a second file system is read by whatever name /etc/fstab mounts it, or is said',
  async () => {
    for (const [table, fstab] of [
      [GPT, `UUID=${HOME_UUID}`],
      [GPT, 'LABEL=Homes'],
      [GPT, `PARTUUID=${PART_UUID}`],
      [GPT, `/dev/disk/by-uuid/${HOME_UUID}`],
      [GPT, '/dev/sda2'],
      [GPT, '/dev/nvme0n1p2'],
      [LOGICAL, '/dev/vda5'],
      [LOGICAL, `UUID="${HOME_UUID}"`],
    ] as const) {
      const disk = await twoFileSystems(table, [1, 70], fstab)
      assert.equal(
        await findingsOn(disk),
        ['history: /home/ops/.bash_history', 'users: /home/ops: a home of nobody'],
        fstab,
      )
    }
    const unknown = await twoFileSystems(GPT, [1, 70], '/dev/mapper/elsewhere')
    assert.equal(await findingsOn(unknown), [
      'unread: partition 2 is mounted nowhere that /etc/fstab tells',
    ])
    const file = await open(unknown, 'r+')
    await file.write(Buffer.alloc(MIB, 'x'), 0, MIB, 70 * MIB)
    assert.equal(await findingsOn(unknown), [
      'unread: partition 2 is encrypted, or has a file system that is not known here',
    ])
    await file.write(Buffer.alloc(MIB), 0, MIB, 70 * MIB)
    assert.equal(await findingsOn(unknown), [])
    await file.write('SWAPSPACE2', 70 * MIB + 4086)
    await file.close()
    assert.equal(await findingsOn(unknown), [])
  },
)
readers(
  'a group of logical volumes is told of where they are not in one piece, or can’t be told',
  async () => {
    const text = (volumes: string) =>
      `g {\nextent_size = 8192\nphysical_volumes {\npv0 {\npe_start = 2048\n}\n}\n${volumes}}\n`
    const torn = 'torn {\nsegment_count = 2\n\nsegment1 {\nextent_count = 5\n}\n}\n'
    for (const [volumes, expected] of [
      ['', []],
      [
        'logical_volumes {\n}\n',
        ['unread: partition 2 does not lie in one piece that can be read'],
      ],
      [
        `logical_volumes {\n${torn}}\n`,
        ['unread: logical volume g/torn does not lie in one piece that can be read'],
      ],
    ] as const) {
      const disk = await twoFileSystems(GPT, [1, 70], '/dev/mapper/elsewhere')
      const group = Buffer.alloc(MIB)
      // A label in the second sector, one area of metadata behind 4 KiB, its text behind the area's header.
      group.write('LABELONE', 512)
      group.writeUInt32LE(32, 512 + 20)
      group.writeBigUInt64LE(4096n, 512 + 32 + 40 + 16)
      group.writeBigUInt64LE(65536n, 512 + 32 + 40 + 24)
      group.writeBigUInt64LE(512n, 4096 + 40)
      group.writeBigUInt64LE(BigInt(text(volumes).length), 4096 + 48)
      group.write(text(volumes), 4096 + 512)
      const file = await open(disk, 'r+')
      await file.write(group, 0, group.length, 70 * MIB)
      await file.close()
      assert.equal(await findingsOn(disk), expected)
    }
  },
)
readers('FAT: finds files in folders by their short names and long ones', async () => {
  for (const [bits, mib] of [
    ['16', 32],
    ['32', 64],
  ] as const) {
    const disk = await emptyDisk('esp', mib * MIB)
    sh(['mkfs.vfat', '-F', bits, '-s', '1', disk])
    const text = `${'# a menu of many lines\n'.repeat(500)}ds=nocloud\n`
    await writeFile(join(dir, 'grub.cfg'), text)
    sh(['mmd', '-i', disk, '::/EFI', '::/EFI/debian'])
    sh(['mcopy', '-i', disk, join(dir, 'grub.cfg'), '::/EFI/debian/grub.cfg'])
    sh(['mcopy', '-i', disk, join(dir, 'grub.cfg'), `::/EFI/debian/${LONG_NAME}`])
    const file = await open(disk)
    const read = pagedBytes(file.fd)
    assert.ok(isFat(read))
    const esp = new SystemFiles(new Map([['/', openFat(read, 0)]]))
    assert.is(esp.text('/efi/debian/grub.cfg'), text, bits)
    assert.equal(esp.list('/efi/debian'), ['grub.cfg', LONG_NAME])
    assert.is(esp.text(`/efi/debian/${LONG_NAME}`), text, bits)
    await file.close()
  }
})
readers('an XFS directory of many pieces has a tree of them', async () => {
  // Shown by its own tool, so that the test above is known to have met one.
  await xfs()(hard)
  const asks = ['-c', 'path /usr/share/many', '-c', 'print core.format']
  const said = sh(['xfs_db', '-r', ...asks, join(dir, 'volume')])
  assert.match(said, /core\.format = 3 \(btree\)/)
})
readers(
  'a damaged file system is a finding, or read as it is: no error of ours, no end of time',
  async () => {
    const random = new Random(7)
    for (const title of ['ext4 on a partition', 'XFS on a partition', 'a root tar']) {
      const { kind, path } = await withTree(clean, makers[title]!)
      const whole = await readFile(path)
      // Damage where nothing is written would be none.
      const written = Array.from(
        { length: Math.ceil(whole.length / 512) },
        (_, i) => i * 512,
      ).filter((at) => whole.subarray(at, at + 512).some((byte) => byte !== 0))
      const file = await open(path, 'r+')
      let unread = 0
      for (let n = 0; n < 150; n++) {
        const places = Array.from({ length: 20 }, () =>
          Math.min(written[random.below(written.length)]! + random.below(512), whole.length - 1),
        )
        for (const at of places) await file.write(random.bytes(1), 0, 1, at)
        const started = Date.now()
        const findings = await findIn({ kind, path }, { origin, secrets: [], bytes: 0 })
        assert.ok(Date.now() - started < 20_000)
        if (findings.some(({ name }) => name === 'unread')) unread += 1
        for (const at of places) await file.write(whole, at, 1, at)
      }
      await file.close()
      console.error(`${title}: ${unread} of 150 can't be read`)
      assert.ok(unread > 0, `${title}: the damage was none`)
    }
  },
)
readers('a password in free space is found, and where it is in a file', async () => {
  const { path } = await makers['ext4 on a partition']!(hard)
  const file = await open(path, 'r+')
  const secret = { what: 'password of the proxy', bytes: Buffer.from('me:s3cret-word') }
  const asked = { origin, secrets: [secret], bytes: 0 }
  assert.equal(await findIn({ kind: 'disk', path }, asked), [])
  const files = await openDisk(file)
  let place = START + 40 * MIB
  while (files.ownerOf(place) !== undefined) place += MIB
  await file.write(secret.bytes, 0, secret.bytes.length, place + 5)
  await file.close()
  const [free] = await findIn({ kind: 'disk', path }, asked)
  assert.is(free?.name, 'secrets')
  assert.is(free?.evidence, `password of the proxy, in no file (byte ${place + 5} of the disk)`)
  const tree = { ...clean, '/usr/share/doc/notes': 'proxy me:s3cret-word\n' }
  for (const make of [
    makers['ext4 on a partition']!,
    makers['a root tar']!,
    makers['XFS on a partition']!,
  ]) {
    const [inFile] = await findIn(await withTree(tree, make), asked)
    assert.match(
      inFile?.evidence ?? '',
      /^password of the proxy, in \/usr\/share\/doc\/notes \(byte \d+/,
    )
  }
})
readers.run()
