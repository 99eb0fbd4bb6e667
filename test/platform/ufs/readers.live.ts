/**
 * Edited images in front of readers that are not ours: GRUB's, and Linux' own `ufs` in a machine
 * (kernel and busybox are packages of this machine's apt; nothing is installed but the tools). Every
 * file's content has to match, and in Linux also type, mode, owner, links, size and time.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { editUfs, openUfs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import { needPackages, workDir } from '../../live.ts'
import { Random } from '../../random.ts'
import { type Geometry, mkufs } from './mkufs.ts'
import { NOW, randomEdit, randomFiles, someBytes } from './model.ts'

needPackages({
  'grub-fstest': 'grub-common',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  cpio: 'cpio',
})

const MIB = 1024 ** 2
const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const sha1 = (data: Uint8Array) => createHash('sha1').update(data).digest('hex')

/** Boot archives, and other sizes of blocks and fragments. */
const GEOMETRIES: Record<string, Geometry> = {
  archive: { bytes: 350_000 * 1024 },
  shifted: { bytes: 30 * MIB, blockBytes: 8192, sectorsPerTrack: 128, tracks: 4 },
  halves: { bytes: 30 * MIB, fragmentBytes: 2048, sectorsPerTrack: 128, bytesPerInode: 4096 },
  smallest: { bytes: 30 * MIB, fragmentBytes: 512, sectorsPerTrack: 128, bytesPerInode: 4096 },
  whole: { bytes: 30 * MIB, fragmentBytes: 4096, sectorsPerTrack: 128, bytesPerInode: 4096 },
}

type Seen = { path: string; line: string; digest?: string; target?: string }

/** What our reader sees of an image, in the words of the machine's init. */
function seenByUs(image: string): Seen[] {
  const ufs = openUfs(image)
  const kinds: Record<string, string> = { file: 'regular file', symlink: 'symbolic link' }
  const special = ['character device', 'block device']
  const seen = [...ufs.walk()].map(({ path, ...status }): Seen => {
    const { type, mode, uid, gid, links, bytes, mtimeSeconds } = status
    const empty = type === 'file' && bytes === 0 ? 'regular empty file' : kinds[type]
    const kind = special.includes(type) ? type.replace('device', 'special file') : empty
    const line = [kind ?? type, mode.toString(8), uid, gid, links, bytes, mtimeSeconds].join(' ')
    if (type === 'file') return { path, line, digest: sha1(ufs.readFile(path)) }
    if (type === 'symlink') return { path, line, target: ufs.readLink(path) }
    return { path, line }
  })
  ufs.close()
  return seen
}

/** Images after many edits; the model that says what is in them was compared by the fast tests. */
const images = new Map<string, { path: string; seen: Seen[] }>()
for (const [i, [name, geometry]] of Object.entries(GEOMETRIES).entries()) {
  const random = new Random(77 + i)
  const path = join(dir, `${name}.ufs`)
  const { blockBytes = 4096 } = geometry
  const { given, model } = randomFiles(random, blockBytes)
  mkufs(path, { ...geometry, nowSeconds: NOW }, given)
  await editUfs(
    path,
    (ufs) => {
      for (let k = 0; k < 250; k++) randomEdit(random, ufs, model, blockBytes)
      for (const length of [1, 59, 60, 61, 1023]) ufs.symlink(`/link${length}`, 'l'.repeat(length))
      ufs.writeFile('/double', someBytes(random, 9 * MIB + 5))
      if (name === 'archive') {
        ufs.writeFile('/usr.lgz', someBytes(random, 100 * MIB))
        ufs.writeFile('/usr.lgz', someBytes(random, 150 * MIB + 4711))
      }
      ufs.mkdir('/many')
      for (let k = 0; k < 900; k++) ufs.writeFile(`/many/${'m'.repeat(60)}${k}`, `content ${k}\n`)
      for (let k = 0; k < 900; k += 2) ufs.remove(`/many/${'m'.repeat(60)}${k}`)
    },
    { nowSeconds: NOW },
  )
  assert.equal(fsck(path), [])
  images.set(name, { path, seen: seenByUs(path) })
}

const grub = suite('grub-fstest')
for (const [name, { path, seen }] of images) {
  grub(`reads every file: ${name}`, () => {
    // A process for each file: of the many small ones some will do.
    const files = seen.filter(({ digest, path: file }) => digest && !/m\d*[1-8]$/.test(file))
    assert.ok(files.length > 40, `${files.length} files`)
    for (const { path: file, digest } of files) {
      const { stdout, stderr } = spawnSync('grub-fstest', [path, 'cat', `(loop0)${file}`], {
        maxBuffer: 1024 * MIB,
      })
      assert.is(sha1(stdout), digest, `${file}: ${stderr}`)
    }
  })
}
grub.run()

const MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  ...['virtio_blk', 'ufs'],
]
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
for module in ${MODULES.join(' ')}; do insmod /modules/$module.ko || poweroff -f; done
for disk in vda vdb vdc vdd vde; do
  echo "@ disk $disk"
  mount -t ufs -o ro,ufstype=sunx86 /dev/$disk /mnt || continue
  cd /mnt
  find . -mindepth 1 -exec stat -c '@ %n %F %a %u %g %h %s %Y' {} +
  find . -type f -exec sha1sum {} +
  find . -type l -exec sh -c 'for link; do echo "@ $link $(readlink "$link")"; done' sh {} +
  cd /
  umount /mnt
done
echo '@ end'
poweroff -f
`

/** Kernel and initramfs with Linux' reader. */
async function makeReader(): Promise<{ kernel: string; initrd: string }> {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' })
  const [image] = /linux-image-\d\S+/.exec(depends)!
  execFileSync('apt-get', ['download', image, 'busybox-static'], { cwd: dir, stdio: 'ignore' })
  for (const name of await readdir(dir)) {
    if (name.endsWith('.deb')) execFileSync('dpkg-deb', ['-x', name, 'packages'], { cwd: dir })
  }
  const root = join(dir, 'initramfs')
  for (const name of ['bin', 'proc', 'dev', 'mnt', 'modules']) {
    await mkdir(join(root, name), { recursive: true })
  }
  await cp(join(dir, 'packages/bin/busybox'), join(root, 'bin/busybox'))
  const applets = 'sh mount umount insmod find stat sha1sum readlink poweroff'
  for (const name of applets.split(' ')) await symlink('busybox', join(root, 'bin', name))
  const all = execFileSync('find', [join(dir, 'packages/lib/modules'), '-name', '*.ko'])
  for (const name of MODULES) {
    const found = all
      .toString()
      .split('\n')
      .find((path) => path.endsWith(`/${name}.ko`))
    if (found) await cp(found, join(root, 'modules', `${name}.ko`))
  }
  await writeFile(join(root, 'init'), INIT, { mode: 0o755 })
  const pack = 'find . | cpio -o -H newc --quiet | gzip -1 >../initrd.gz'
  execFileSync('sh', ['-c', pack], { cwd: root })
  const boot = join(dir, 'packages/boot')
  const kernel = (await readdir(boot)).find((name) => name.startsWith('vmlinuz'))!
  return { kernel: join(boot, kernel), initrd: join(dir, 'initrd.gz') }
}

const linux = suite('Linux, ufstype=sunx86')
let console_ = ''
linux.before(async () => {
  try {
    const { kernel, initrd } = await makeReader()
    const words = [
      ...['300', 'qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'Nehalem', '-m', '512M'],
      ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ...['-kernel', kernel, '-initrd', initrd],
      ...['-append', 'console=ttyS0 quiet loglevel=4 rdinit=/init'],
      ...[...images.values()].flatMap(({ path }) => [
        '-drive',
        `file=${path},format=raw,if=virtio,readonly=on`,
      ]),
    ]
    const run = spawnSync('timeout', words, { encoding: 'utf8', maxBuffer: 64 * MIB })
    console_ = run.stdout.replaceAll('\r', '')
    if (!console_.includes('@ end')) throw new Error(`${run.stderr}\n${console_.slice(-3000)}`)
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
linux.after(remove)
for (const [i, [name, { seen }]] of [...images].entries()) {
  linux(`sees the same files: ${name}`, () => {
    const letter = String.fromCharCode('a'.charCodeAt(0) + i)
    const part = console_.split(`@ disk vd${letter}\n`)[1]!.split(/@ disk|@ end/)[0]!
    const lines = new Set(part.split('\n'))
    assert.is([...lines].filter((line) => line.startsWith('@ ./')).length > 0, true, part)
    const expected = seen.flatMap(({ path, line, digest, target }) => [
      `@ .${path} ${line}`,
      ...(digest ? [`${digest}  .${path}`] : []),
      ...(target ? [`@ .${path} ${target}`] : []),
    ])
    const missing = expected.filter((line) => !lines.has(line))
    const more = [...lines].filter(
      (line) => /^@ |^[0-9a-f]{40} /.test(line) && !expected.includes(line),
    )
    assert.equal({ missing, more }, { missing: [], more: [] })
  })
}
linux.run()
