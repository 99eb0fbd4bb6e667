/**
 * Disks that differ in a single thing, and what compare-images says of them: exactly that. With GPT, an EFI system
 * partition and ext4, plain and on a logical volume; XFS; damage; interruptions.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  installBootLoaders,
  mkfsRootEnv,
  mkfsRootWords,
  partitionDisk,
} from '../../lib/disk/assemble.ts'
import { type LayoutName, makeLayout } from '../../lib/disk/layout.ts'
import { command, needPackages, run, start, workDir } from '../live.ts'
import type { Comparison } from '../../lib/compare/compare-images.ts'

needPackages({
  'qemu-img': 'qemu-utils',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  setfacl: 'acl',
  setfattr: 'attr',
  setcap: 'libcap2-bin',
})

const MIB = 1024 ** 2
const BYTES = 2048 * MIB
const TIMES = { epoch: 86400 }
const { dir, remove } = await workDir()
const at = (name: string) => join(dir, name)
process.env['TMPDIR'] = at('tmp')
await mkdir(at('tmp'))
const sh = (words: string, cwd = dir) =>
  execFileSync('bash', ['-ec', words], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const digest = (name: string) => sh(`sha256sum ${name}`).split(' ')[0]
const layouts = { plain: makeLayout('plain', BYTES, 'x'), lvm: makeLayout('lvm', BYTES, 'x') }
const { root, esp, bios, system } = layouts.plain

/** Mounts of ours; another test may have its own. */
const mounts = () =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(dir))
/** Nothing of ours is left, and nothing is mounted. */
async function nothingLeft() {
  assert.equal(await readdir(at('tmp')), [])
  assert.equal(mounts(), [])
}

const TREE = `mkdir etc bin dev; echo hello >etc/motd; echo secret >etc/shadow; chown 0:42 etc/shadow; chmod 640 etc/shadow
  ln etc/motd etc/hard; ln -s motd etc/soft; cp /bin/true bin/ping; setcap cap_net_raw+ep bin/ping
  head -c 300000 /dev/urandom >bin/random; mkdir -p srv/data; mknod dev/null c 1 3`

/** A disk whose tree was changed by a script, with all times the same before that. */
async function makeDisk(name: string, change = 'true', layoutName: LayoutName = 'plain') {
  const layout = layouts[layoutName]
  sh(`rm -rf ${name}.tree; cp -a tree ${name}.tree`)
  sh('find . -exec touch -h -d @86400 {} +', at(`${name}.tree`))
  sh(change, at(`${name}.tree`))
  await writeFile(at(name), '')
  sh(`truncate -s ${BYTES} ${name}`)
  await partitionDisk(at(name), layout, TIMES)
  const [program, ...words] = mkfsRootWords(at(name), layout, at(`${name}.tree`))
  execFileSync(program!, words, { env: { ...process.env, ...mkfsRootEnv(TIMES) } })
  const files = { 'EFI/BOOT/BOOTX64.EFI': at('grub.efi'), 'EFI/debian/grub.cfg': at('grub.cfg') }
  const images = { boot: at('boot.img'), core: at('core.img') }
  await installBootLoaders(at(name), layout, { bios: images, esp: files }, TIMES)
}

/** Compare, and hold that it ends with the status that fits what it says. */
async function compare(...words: string[]): Promise<Comparison> {
  const names = words.map((word) => (word.startsWith('--') ? word : at(word)))
  const { status, stdout, stderr } = await run('compare-images', [...names, '--json'])
  assert.ok(stdout !== '' && (status === 0 || status === 1), stderr)
  const comparison = JSON.parse(stdout) as Comparison
  assert.is(status === 0, comparison.same)
  await nothingLeft()
  return comparison
}
const differing = ({ parts }: Comparison) =>
  parts.filter(({ state }) => state === 'differs').map(({ part }) => part)
const partIn = ({ parts }: Comparison, name: string) => parts.find(({ part }) => part === name)!
/** A file's path with the properties that differ. */
const filesIn = (comparison: Comparison, part = 'files') =>
  partIn(comparison, part).differences.map(({ what, change, fields }) =>
    change === 'changed'
      ? `${what}: ${fields?.map(({ field }) => field).join()}`
      : `${change} ${what}`,
  )

const live = suite('compare-images, disks')
live.before(async () => {
  try {
    await mkdir(at('tree'))
    sh(TREE, at('tree'))
    sh(
      `head -c 510 /dev/urandom >boot.img; printf '\\x55\\xaa' >>boot.img; head -c 30000 /dev/urandom >core.img
       head -c 100000 /dev/urandom >grub.efi; echo menu >grub.cfg`,
    )
    await makeDisk('a.raw')
    sh('cp --sparse=always a.raw copy.raw')
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
live('the same disk in every format is the same, status 0', async () => {
  assert.equal(differing(await compare('a.raw', 'copy.raw')), [])
  for (const name of ['a.qcow2', 'a.dd.gz', 'a.zfs.gz', 'a.zfs']) {
    assert.is((await run('convert-image', [at('a.raw'), at(name)])).status, 0)
    const comparison = await compare('copy.raw', name)
    assert.ok(comparison.same, name)
    assert.is(partIn(comparison, 'files').state, 'same')
  }
  assert.ok((await compare('a.qcow2', 'a.zfs.gz')).same)
})
for (const [change, expected, ...others] of [
  ['echo more >>etc/motd; touch -d @86400 etc/motd', ['etc/hard: content', 'etc/motd: content']],
  ['echo world >etc/motd; touch -d @86400 etc/motd', ['etc/hard: content', 'etc/motd: content']],
  ['chmod 600 etc/shadow', ['etc/shadow: mode']],
  ['chmod u+s bin/ping', ['bin/ping: mode']],
  ['chown 0:43 etc/shadow', ['etc/shadow: owner']],
  ['touch -d @86401 bin/ping', ['bin/ping: mtime']],
  ['setcap -r bin/ping', ['bin/ping: security.capability']],
  ['setcap cap_setuid+ep bin/ping', ['bin/ping: security.capability'], 'bytes above 127'],
  ['setfattr -n user.note -v x etc/motd', ['etc/hard: user.note', 'etc/motd: user.note']],
  ['setfacl -m u:33:r etc/shadow', ['etc/shadow: ACL']],
  ['ln -sfn hard etc/soft; touch -hd @86400 etc/soft etc', ['etc/soft: link target']],
  ['rm dev/null; mknod dev/null c 1 5; touch -d @86400 dev dev/null', ['dev/null: device']],
  ['rmdir srv/data; echo >srv/data; touch -d @86400 srv srv/data', ['srv/data: type']],
  ['rm etc/soft; touch -d @86400 etc', ['removed etc/soft']],
  ['echo >srv/data/new; touch -d @86400 srv/data', ['added srv/data/new']],
  [
    'cp --preserve=all etc/hard x; mv x etc/hard; touch -d @86400 etc',
    ['etc/hard: hard link to', 'etc/motd: hard link to'],
    'the same content',
  ],
] as const) {
  live(`names exactly what changed: ${[change, ...others].join('; ')}`, async () => {
    await makeDisk('b.raw', change)
    const comparison = await compare('a.raw', 'b.raw')
    assert.equal(filesIn(comparison), expected)
    // Free blocks may be others; nothing else of the disk is.
    const parts = differing(comparison).filter((part) => part !== 'root file system')
    assert.equal(parts, ['files'])
  })
}
live('on a logical volume as well', async () => {
  await makeDisk('lvm-a.raw', 'true', 'lvm')
  await makeDisk('lvm-b.raw', 'chmod 600 etc/motd', 'lvm')
  assert.equal(filesIn(await compare('lvm-a.raw', 'lvm-b.raw')), [
    'etc/hard: mode',
    'etc/motd: mode',
  ])
  const layouts = await compare('a.raw', 'lvm-a.raw')
  assert.equal(filesIn(layouts), [])
  assert.ok(differing(layouts).includes('partition table'))
})
live('shows what changed in a text', async () => {
  await makeDisk('b.raw', 'echo more >>etc/motd')
  const { stdout, status } = await run('compare-images', [at('a.raw'), at('b.raw'), '--diff'])
  assert.is(status, 1)
  assert.match(stdout, /^ {6} hello\n {6}\+more$/m)
})
live('times alone do not count with --ignore-times', async () => {
  await makeDisk('b.raw', 'find . -exec touch -h -d @99999 {} +')
  assert.equal(differing(await compare('a.raw', 'b.raw', '--ignore-times')), [])
  assert.ok(filesIn(await compare('a.raw', 'b.raw')).every((line) => line.endsWith(': mtime')))
})

/** A byte of a copy of the disk, changed. */
const poke = (offset: number) =>
  sh(`cp --sparse=always a.raw b.raw; printf X | dd of=b.raw bs=1 seek=${offset} conv=notrunc`)
for (const [what, offset, part, named, within] of [
  ['MBR boot code', 300, 'boot code', 'MBR boot code', 300],
  ['BIOS boot partition', bios!.offset + 700, 'boot code', 'BIOS boot partition 1', 700],
  ['protective MBR', 447, 'partition table', 'MBR', 7],
  ['gap before the partitions', 100_000, 'everything else', 'gap behind GPT', 100_000 - 34 * 512],
  ['unused block', root.offset + root.length - 5, 'root file system', 'metadata or unused blocks'],
] as const) {
  live(`a byte of ${what} is told, with its place`, async () => {
    poke(offset)
    const comparison = await compare('a.raw', 'b.raw')
    assert.equal(differing(comparison), [part])
    const [found, ...more] = partIn(comparison, part).differences
    assert.is(found!.what, named)
    assert.equal(more, [])
    assert.equal(found!.ranges, [{ offset: within ?? root.length - 5, length: 1 }])
    if (part === 'root file system') assert.is(partIn(comparison, 'files').state, 'same')
  })
}
live('fields of the table, each by its name', async () => {
  sh('cp --sparse=always a.raw b.raw; sfdisk -q --part-label b.raw 3 system')
  const comparison = await compare('a.raw', 'b.raw')
  assert.equal(differing(comparison), ['partition table'])
  assert.equal(partIn(comparison, 'partition table').differences, [
    { kind: 'field', what: 'partition 3 name', change: 'changed', a: 'root', b: 'system' },
  ])
})
live('files, times and parameters of the EFI system partition', async () => {
  const place = `-i b.raw@@${esp.offset}`
  const edit = (words: string) =>
    sh(`export MTOOLS_SKIP_CHECK=1; cp --sparse=always a.raw b.raw; ${words}`)
  const found = async () => {
    const comparison = await compare('a.raw', 'b.raw')
    assert.equal(differing(comparison), ['EFI system partition'])
    return filesIn(comparison, 'EFI system partition')
  }
  edit(`echo nemu >g; touch -d @86400 g; TZ=UTC mcopy -m -D o ${place} g ::/EFI/debian/grub.cfg`)
  assert.equal(await found(), ['EFI/debian/grub.cfg: content'])
  edit(`touch -d @86500 grub.cfg; TZ=UTC mcopy -m -D o ${place} grub.cfg ::/EFI/debian/grub.cfg`)
  assert.equal(await found(), ['EFI/debian/grub.cfg: mtime'])
  edit(`mdel ${place} ::/EFI/debian/grub.cfg`)
  assert.equal(await found(), ['removed EFI/debian/grub.cfg'])
  poke(esp.offset + 67) // of the volume id
  const [change] = partIn(await compare('a.raw', 'b.raw'), 'EFI system partition').differences
  assert.is(change!.what, 'volume id')
  poke(esp.offset + 100 * MIB) // in no file
  const unused = partIn(await compare('a.raw', 'b.raw'), 'EFI system partition')
  assert.match(unused.says, /^the same files/)
  assert.equal(unused.differences[0]!.ranges, [{ offset: 100 * MIB, length: 1 }])
})
live('a time that is another by nanoseconds is no secret', async () => {
  // mkfs.ext4 has whole seconds; of this field the lower two bits are no nanoseconds.
  sh(
    `cp --sparse=always a.raw b.raw; E2FSPROGS_FAKE_TIME=86400 debugfs -w -R 'sif /bin/ping mtime_extra 28' 'b.raw?offset=${root.offset}'`,
  )
  // fuse2fs 1.47.0 tells whole seconds: bytes that belong to no file, then.
  assert.match(differing(await compare('a.raw', 'b.raw')).join(), /^(files|root file system)$/)
})
live("the superblock's fields", async () => {
  sh(
    `cp --sparse=always a.raw b.raw; E2FSPROGS_FAKE_TIME=86400 debugfs -w -R 'ssv volume_name other' 'b.raw?offset=${root.offset}'`,
  )
  const comparison = await compare('a.raw', 'b.raw')
  assert.equal(differing(comparison), ['root file system'])
  const [label] = partIn(comparison, 'root file system').differences
  assert.equal([label!.what, label!.a, label!.b], ['Filesystem volume name', 'rootfs', 'other'])
  assert.is(partIn(comparison, 'files').state, 'same')
})
live("the stream's fields, where the disk is the same", async () => {
  sh('cp --sparse=always a.raw other.raw')
  assert.is((await run('convert-image', [at('other.raw'), at('b.zfs.gz')])).status, 0)
  const comparison = await compare('a.zfs.gz', 'b.zfs.gz')
  assert.equal(differing(comparison), ['image file', 'send stream'])
  const fields = partIn(comparison, 'send stream').differences.map(({ what }) => what)
  assert.ok(
    ['guid', 'name'].every((field) => fields.includes(field)),
    fields.join(),
  )
})
live('how qcow2 is packed, where the disk is the same', async () => {
  sh('qemu-img convert -f raw -O qcow2 -o cluster_size=2M a.raw b.qcow2')
  const comparison = await compare('a.qcow2', 'b.qcow2')
  assert.equal(differing(comparison), ['image file', 'qcow2'])
  const [first] = partIn(comparison, 'qcow2').differences
  assert.equal([first!.what, first!.b], ['cluster size', `${2 * MIB} bytes`])
})
live('a root tar of the disk has its files but those that a tar leaves out', async () => {
  assert.is((await run('convert-image', [at('a.raw'), at('a.tar.gz')])).status, 0)
  const comparison = await compare('a.tar.gz', 'a.raw')
  assert.equal(filesIn(comparison), ['added dev/null', 'added lost+found'])
  assert.is(partIn(comparison, 'disk').state, 'not compared')
})
live('another size: the parts that both have are compared', async () => {
  sh(
    `cp --sparse=always a.raw b.raw; truncate -s +64M b.raw; sfdisk -q --relocate gpt-bak-std b.raw`,
  )
  const comparison = await compare('a.raw', 'b.raw')
  assert.equal(differing(comparison), ['disk', 'partition table'])
})
live('XFS: which bytes differ, and that its files can not be listed', async () => {
  for (const name of ['xa.raw', 'xb.raw']) {
    sh(`cp --sparse=always a.raw ${name}; truncate -s ${system.length} x.fs; mkfs.xfs -q -f -m uuid=${root.fsUuid} x.fs
        dd if=/dev/zero of=${name} bs=1M count=2 seek=${system.offset / MIB} conv=notrunc
        dd if=x.fs of=${name} bs=1M seek=${system.offset / MIB} conv=notrunc,sparse; rm x.fs`)
  }
  poke(0)
  sh(`printf X | dd of=xb.raw bs=1 seek=${system.offset + 50 * MIB + 7} conv=notrunc`)
  const comparison = await compare('xa.raw', 'xb.raw')
  const { state, says } = partIn(comparison, 'files')
  assert.equal([state, says.includes('XFS')], ['not compared', true])
  const { differences } = partIn(comparison, 'root file system')
  const ranges = differences[0]!.ranges!
  assert.ok(
    ranges.some(({ offset }) => offset === 50 * MIB + 7),
    JSON.stringify(ranges),
  )
})
live('damage is no reason not to tell the rest', async () => {
  const inRoot = root.offset / MIB
  const zeros = (words: string) => `dd if=/dev/zero of=b.raw conv=notrunc ${words}`
  sh('head -c 8000000 /dev/urandom >noise')
  for (const [says, words] of [
    ['no superblock', zeros(`bs=1024 count=1 seek=${root.offset / 1024 + 1}`)],
    ['inodes are noise', `dd if=noise of=b.raw bs=1M seek=${inRoot + 1} conv=notrunc`],
    ['no FAT', zeros(`bs=1M count=2 seek=${esp.offset / MIB}`)],
    ['no table', `${zeros('bs=512 count=40')}; truncate -s -1M b.raw`],
    ['cut in the root file system', `truncate -s ${root.offset + 20 * MIB} b.raw`],
    ['cut in the EFI system partition', `truncate -s ${esp.offset + 70_000} b.raw`],
  ] as const) {
    sh(`cp --sparse=always a.raw b.raw; ${words}`)
    for (const pair of [
      ['a.raw', 'b.raw'],
      ['b.raw', 'a.raw'],
    ]) {
      const comparison = await compare(...pair)
      assert.not(comparison.same, says)
      assert.not.match(JSON.stringify(comparison), /\/tmp\/compare-images-/, 'a path of ours')
    }
  }
})
live('a cut or damaged image file is an error that names it', async () => {
  for (const [name, words] of [
    ['cut.zfs.gz', 'head -c 200000 a.zfs.gz >cut.zfs.gz'],
    ['cut.qcow2', 'head -c 300000 a.qcow2 >cut.qcow2'],
    ['cut.dd.gz', 'head -c -9 a.dd.gz >cut.dd.gz'],
    ['bad.zfs', 'cp a.zfs bad.zfs; printf X | dd of=bad.zfs bs=1 seek=100000 conv=notrunc'],
  ]) {
    sh(words!)
    const { status, stdout, stderr } = await run('compare-images', [at('a.raw'), at(name!)])
    assert.is(status, 1, name)
    assert.is(stdout, '')
    assert.match(stderr, new RegExp(`^Error: .*${name!.replace('.', '\\.')}`, 'm'))
    await nothingLeft()
  }
})
live('inputs are not written to, a journal that was not played back least', async () => {
  await makeDisk('b.raw', 'echo more >>etc/motd')
  sh(`debugfs -w -R 'feature +needs_recovery' 'b.raw?offset=${root.offset}'; chmod 444 b.raw`)
  const before = digest('b.raw')
  const comparison = await compare('a.raw', 'b.raw')
  assert.is(digest('b.raw'), before)
  const features = partIn(comparison, 'root file system').differences.find(
    ({ what }) => what === 'Filesystem features',
  )
  assert.match(features?.b ?? '', /needs_recovery/)
  sh('chmod 644 b.raw')
})
live('without /dev/fuse it says so, status 3', async () => {
  await makeDisk('b.raw', 'echo more >>etc/motd')
  const script = `mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9
    exec ${command('compare-images')} ${at('a.raw')} ${at('b.raw')}`
  const { status, stderr } = spawnSync('unshare', ['-m', 'bash', '-ec', script], {
    encoding: 'utf8',
  })
  assert.is(status, 3, stderr)
  assert.match(
    stderr,
    /^Error: Cannot take files out of a disk: this machine has no \/dev\/fuse\n {2}Run: /m,
  )
  await nothingLeft()
})
live('an interruption leaves nothing, whenever it comes', async () => {
  await makeDisk('b.raw', 'head -c 400M /dev/zero | tr "\\0" x >big')
  await makeDisk('c.raw', 'head -c 400M /dev/zero | tr "\\0" y >big')
  const interrupt = async (when: (running: ReturnType<typeof start>) => Promise<void>) => {
    const running = start('compare-images', [at('b.raw'), at('c.raw')])
    const { child, outcome } = running
    await when(running)
    child.kill('SIGINT')
    const { status, stdout } = await outcome
    assert.equal([status, stdout], [130, ''])
    await nothingLeft()
  }
  await interrupt(async ({ shows }) => {
    await shows(/Read the images/)
    await delay(100)
  })
  for (const ms of [0, 20, 300]) {
    await interrupt(async ({ child }) => {
      while (mounts().length === 0) {
        assert.is(child.exitCode, null, 'it ended before it mounted anything')
        await delay(5)
      }
      await delay(ms)
    })
  }
})
live.after(remove)
live.run()
