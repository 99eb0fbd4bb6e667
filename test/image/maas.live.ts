/** Images for MAAS as an operator builds them, with a real mirror: unpacked as curtin does, and checked. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { needPackages, run, workDir } from '../live.ts'
import { checkFiles, maasBuilder, type MaasImage } from '../maas.ts'

needPackages({
  getfacl: 'acl',
  getfattr: 'attr',
  getcap: 'libcap2-bin',
  debugfs: 'e2fsprogs',
  'qemu-img': 'qemu-utils',
})

const { dir, remove } = await workDir()
const build = await maasBuilder(dir)
const root = join(dir, 'root')
const inRoot = (path: string) => readFile(join(root, path), 'utf8')
const tool = (program: string, ...words: string[]) =>
  execFileSync(program, words, { encoding: 'utf8', cwd: root })

const CUSTOMIZE = `#!/bin/sh -e
apt-get install -y --no-install-recommends acl attr libcap2-bin >&2
mkdir /srv/check
cd /srv/check
echo a >file
chown 1234:4321 file
chmod 2751 .
setfattr -n user.note -v kept file
setfacl -m u:33:rw,g:1000:r file
cp /bin/true true
setcap cap_net_raw+ep true
ln file hard
`

const tgz = suite('create-image-debian --target maas --format tgz')
let built: MaasImage
tgz('builds a root tar, and says how MAAS is given it', async () => {
  const customize = join(dir, 'customize.sh')
  await writeFile(customize, CUSTOMIZE)
  await chmod(customize, 0o755)
  built = await build('--target', 'maas', '--customize', customize)
  await checkFiles(built, /^debian-12-\d{8}\.tar\.gz$/)
  assert.match(built.handOver[0]!, /maas admin boot-resources create name='custom\/debian-12' /)
  assert.match(built.handOver[1]!, /as debian,/)
  await mkdir(root)
  // The words of curtin, and --acls.
  const words = ['--acls', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf']
  execFileSync('tar', ['-C', root, ...words, built.image.path])
})
tgz('keeps owners, modes, links, ACLs, attributes and capabilities', async () => {
  const { uid, gid, nlink } = await lstat(join(root, 'srv/check/file'))
  assert.equal({ uid, gid, nlink }, { uid: 1234, gid: 4321, nlink: 2 })
  assert.is((await lstat(join(root, 'srv/check'))).mode & 0o7777, 0o2751)
  assert.match(tool('getfacl', '-n', 'srv/check/file'), /^user:33:rw-$[^]*^group:1000:r--$/m)
  assert.match(tool('getfattr', '-n', 'user.note', 'srv/check/file'), /^user\.note="kept"$/m)
  assert.match(tool('getcap', 'srv/check/true'), /cap_net_raw=ep/)
  assert.is((await lstat(join(root, 'usr/bin/sudo'))).mode & 0o7777, 0o4755)
  assert.is((await lstat(join(root, 'etc/shadow'))).gid, 42)
})
tgz('has no kernel, no boot loader, no devices, and nothing of SmartOS or the build', async () => {
  assert.equal(await readdir(join(root, 'boot')), [])
  assert.equal(await readdir(join(root, 'dev')), [])
  for (const path of [
    'lib/smartdc',
    'usr/sbin/mdata-get',
    'etc/product',
    'etc/hostname',
    'var/lib/cloud/instance',
  ]) {
    assert.not(existsSync(join(root, path)), path)
  }
  assert.not.match(await inRoot('var/lib/dpkg/status'), /^Package: (linux-image|grub|shim)/m)
  assert.is(await inRoot('etc/machine-id'), '')
  assert.equal(await readdir(join(root, 'var/tmp')), [])
  assert.match(await inRoot('etc/motd'), /built for MAAS/)
})
tgz('is told of MAAS, and tells curtin of its kernel', async () => {
  const { mode } = await stat(join(root, 'curtin/curtin-hooks'))
  assert.is(mode & 0o777, 0o755)
  assert.equal((await readdir(join(root, 'curtin'))).sort(), ['DEFAULT_KERNEL', 'curtin-hooks'])
  assert.is(await inRoot('curtin/DEFAULT_KERNEL'), 'linux-image-amd64')
  const config = await readdir(join(root, 'etc/cloud/cloud.cfg.d'))
  assert.not(config.includes('90_smartos.cfg'))
  assert.match(
    await inRoot('etc/cloud/cloud.cfg.d/90_maas.cfg'),
    /^datasource_list: \[MAAS, None\]$/m,
  )
  assert.match(await inRoot('etc/cloud/cloud.cfg.d/91_default_user.cfg'), /name: debian$/m)
})
tgz.run()

const disk = suite('create-image-debian --target maas --format ddgz')
disk.after(remove)
disk('is the disk, bit for bit, with the kernel of choice and what curtin looks for', async () => {
  const kernel = 'linux-image-cloud-amd64'
  const made = await build(
    ...['image', '--target', 'maas', '--format', 'ddgz', '--name', 'custom-disk'],
    ...['--kernel', kernel],
  )
  await checkFiles(made, /^custom-disk\.dd\.gz$/)
  const raw = join(dir, 'disk.raw')
  assert.is((await run('convert-image', [made.image.path, raw])).status, 0)
  execFileSync('bash', ['-c', `cmp <(gzip -dc ${made.image.path}) ${raw}`])
  assert.is((await stat(raw)).size, 10 * 1024 ** 3)
  assert.ok((await stat(raw)).blocks * 512 < 2 * 1024 ** 3)
  execFileSync('sfdisk', ['--verify', '--quiet', raw])
  const start = 266240 * 512
  const debugfs = (request: string) =>
    execFileSync('debugfs', ['-R', request, `${raw}?offset=${start}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  assert.match(debugfs('cat /curtin/CUSTOM_KERNEL'), /^linux-image-cloud-amd64$/)
  assert.match(debugfs('ls -p /boot'), /\/vmlinuz-[^/]+-cloud-amd64\//)
  assert.match(debugfs('cat /boot/grub/grub.cfg'), /^terminal_output console serial$/m)
  assert.match(debugfs('cat /etc/fstab'), /^UUID=\S+ \/ ext4 /m)
  assert.match(debugfs('stat /curtin/curtin-hooks'), /Mode: +0755/)
})
disk.run()
