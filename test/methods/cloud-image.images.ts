/**
 * Method cloud-image with a real cloud image, which is one of ours with another datasource: booted, changed by
 * a script that installs a package through apt, and every way to fail.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  start,
  workDir,
} from '../live.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  xorriso: 'xorriso',
  debugfs: 'e2fsprogs',
  getfacl: 'acl',
  getfattr: 'attr',
  getcap: 'libcap2-bin',
  xz: 'xz-utils',
})

// Builds of another day are others.
process.env['SOURCE_DATE_EPOCH'] = String(Math.floor(Date.now() / 1000))

const { dir, remove } = await workDir()
const mirrors = machineMirrors()
const base = join(dir, 'base.qcow2')
/** The guest knows no certificates that somebody gave this machine. */
const guestMirrors = mirrors.map((word) => word.replace(/^https:/, 'http:'))

/** A generic image: what SmartOS needs goes, NoCloud comes. */
const GENERIC = `#!/bin/sh
set -e
rm -f /etc/cloud/cloud.cfg.d/90_smartos.cfg
echo 'datasource_list: [NoCloud, None]' >/etc/cloud/cloud.cfg.d/90_generic.cfg
`
/** Uses what a running system offers: the operator's files, and apt. */
const CUSTOMIZE = `#!/bin/sh
set -e
curl -fsS http://$HYBRID_HTTP_IP:$HYBRID_HTTP_PORT/sub/greeting >/etc/greeting
test "$PACKER_HTTP_ADDR" = "$HYBRID_HTTP_IP:$HYBRID_HTTP_PORT"
apt-get -q -y install --no-install-recommends hello
hello >>/etc/greeting
systemctl is-active ssh.service >>/etc/greeting
`
const words = (output: string, ...more: string[]) => [
  ...['12', '--method', 'cloud-image', '--output', join(dir, output)],
  ...(more.includes('--base') ? [] : ['--base', base]),
  ...(more.includes('--size') ? [] : ['--size', '4G']),
  ...['--accel', 'tcg', ...guestMirrors, ...more],
]
const build = (output: string, ...more: string[]) =>
  run('create-image-debian', words(output, ...more))
/** A script of the operator. */
async function scriptOf(name: string, body: string): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, `#!/bin/sh\n${body}`)
  await chmod(path, 0o755)
  return path
}
let before: string[]

/** A file of an image as a raw disk, by the file system's own debugger. */
function fileOf(raw: string, path: string): string {
  const table = JSON.parse(execFileSync('sfdisk', ['--json', raw], { encoding: 'utf8' })) as {
    partitiontable: { partitions: { start: number; size: number }[] }
  }
  const root = table.partitiontable.partitions.toSorted((a, b) => b.size - a.size)[0]!
  const place = `${raw}?offset=${root.start * 512}`
  return execFileSync('debugfs', ['-R', `cat ${path}`, place], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

const cloud = suite('method cloud-image')
cloud.before(async () => {
  try {
    const script = join(dir, 'generic.sh')
    await writeFile(script, GENERIC)
    await chmod(script, 0o755)
    const words = ['12', '--output', join(dir, 'base'), '--size', '3G', '--customize', script]
    const { status, stdout } = await run('create-image-debian', [...words, ...mirrors])
    assert.is(status, 0)
    const image = stdout.trim().replace(/imgmanifest$/, 'zfs.gz')
    const raw = join(dir, 'base.raw')
    assert.is((await run('convert-image', [image, raw])).status, 0)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, base])
    await mkdir(join(dir, 'files/sub'), { recursive: true })
    await writeFile(join(dir, 'files/sub/greeting'), 'from the host\n')
    before = leftovers()
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
cloud(
  'makes the base an image of ours, changed by the operator’s script and user-data',
  async () => {
    const customize = join(dir, 'customize.sh')
    await writeFile(customize, CUSTOMIZE)
    const own = join(dir, 'user-data')
    await writeFile(own, '#cloud-config\nwrite_files:\n  - {path: /etc/own, content: own}\n')
    const mine = ['--customize', customize, '--files', join(dir, 'files'), '--user-data', own]
    const { status, stdout, stderr } = await build('bits', ...mine)
    assert.is(status, 0, stderr)
    assert.match(stderr, /^JOYENT_STATUS_CLOUD_INIT=ok$/m)
    const manifest = stdout.trim()
    assert.is((await run('inspect-image', [manifest])).status, 0)
    const raw = join(dir, 'look.raw')
    const image = manifest.replace(/imgmanifest$/, 'zfs.gz')
    assert.is((await run('convert-image', [image, raw])).status, 0)
    assert.is(fileOf(raw, '/etc/greeting'), 'from the host\nHello, world!\nactive\n')
    assert.is(fileOf(raw, '/etc/own'), 'own')
    assert.match(fileOf(raw, '/etc/cloud/cloud.cfg.d/90_smartos.cfg'), /SmartOS/)
    assert.is(fileOf(raw, '/etc/machine-id'), '')
    assert.is(fileOf(raw, '/var/lib/systemd/random-seed'), '')
    assert.is(fileOf(raw, '/var/lib/cloud/data/instance-id'), '')
    assert.not.match(fileOf(raw, '/etc/passwd'), /^debian:/m)
    await rm(raw)

    const again = await build('bits-again', ...mine)
    assert.is(again.status, 0, again.stderr)
    assert.match(again.stderr, /^Take the image of an earlier build: /m)
    assert.not.match(again.stderr, /^JOYENT_STATUS_/m)
    const beside = (path: string) => path.trim().replace(/imgmanifest$/, 'sbom.cdx.json')
    const packages = async (path: string) =>
      (JSON.parse(await readFile(beside(path), 'utf8')) as { components: unknown }).components
    assert.equal(await packages(again.stdout), await packages(stdout))
    await writeFile(join(dir, 'files/sub/greeting'), 'from the host, again\n')
    const { child, outcome, shows } = start('create-image-debian', words('bits-third', ...mine))
    await shows(/^JOYENT_STATUS_BOOT=ok/m)
    child.kill('SIGINT')
    assert.is((await outcome).status, 130)
    assertNothingLeft(before)
  },
)
cloud('packs a root tar, from a base that is a tar', async () => {
  const raw = join(dir, 'disk.raw')
  execFileSync('qemu-img', ['convert', '-O', 'raw', base, raw])
  const packed = join(dir, 'base.tar.gz')
  execFileSync('tar', ['-C', dir, '-S', '-I', 'gzip -1', '-cf', packed, 'disk.raw'])
  await rm(raw)
  const customize = await scriptOf(
    'marks.sh',
    `set -e
apt-get install -y --no-install-recommends acl attr libcap2-bin
mkdir /srv/check
cd /srv/check
echo a >file
chown 1234:4321 file
chmod 2751 .
setfattr -n user.note -v kept file
setfacl -m u:33:rw,g:4444:r file
cp /bin/true true
setcap cap_net_raw+ep true
ln file hard
`,
  )
  const maas = ['--target', 'maas', '--base', packed, '--customize', customize]
  const { status, stdout, stderr } = await build('bits-tgz', ...maas)
  assert.is(status, 0, stderr)
  assert.match(stderr, /^Log in to a deployed machine as debian, /m)
  await rm(packed)
  const root = join(dir, 'root')
  await mkdir(root)
  // The words of curtin, and --acls.
  const extract = ['--acls', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf']
  execFileSync('tar', ['-C', root, ...extract, stdout.trim()], { stdio: 'ignore' })
  const tool = (program: string, ...more: string[]) =>
    execFileSync(program, more, { encoding: 'utf8', cwd: root })
  const { uid, gid, nlink } = await lstat(join(root, 'srv/check/file'))
  assert.equal({ uid, gid, nlink }, { uid: 1234, gid: 4321, nlink: 2 })
  assert.is((await lstat(join(root, 'srv/check'))).mode & 0o7777, 0o2751)
  assert.match(tool('getfacl', '-n', 'srv/check/file'), /^user:33:rw-$[^]*^group:4444:r--$/m)
  assert.match(tool('getfattr', '-n', 'user.note', 'srv/check/file'), /^user\.note="kept"$/m)
  assert.match(tool('getcap', 'srv/check/true'), /cap_net_raw=ep/)
  for (const empty of ['boot', 'dev', 'mnt', 'proc', 'sys', 'var/tmp', 'var/lib/cloud']) {
    assert.equal(await readdir(join(root, empty)), [], empty)
  }
  assert.not.ok((await readdir(root)).includes('lost+found'))
  assert.equal((await readdir(join(root, 'curtin'))).sort(), ['DEFAULT_KERNEL', 'curtin-hooks'])
  const read = (path: string) => readFile(join(root, path), 'utf8')
  assert.not.match(
    await read('var/lib/dpkg/status'),
    /^Package: (linux-image|grub|shim).*\nStatus: .* installed$/m,
  )
  assert.is(await read('etc/fstab'), '')
  assert.not.match(await read('etc/passwd'), /^debian:/m) // deployed, cloud-init makes it
  assert.is(await read('etc/machine-id'), '')
  assert.match(await read('etc/cloud/cloud.cfg.d/90_maas.cfg'), /MAAS/)
  execFileSync('rm', ['-rf', root])
  assertNothingLeft(before)
})
cloud('packs the one kernel that is asked for, and its name for curtin', async () => {
  const kernel = 'linux-image-cloud-amd64'
  const named = ['--kernel', kernel, '--name', 'custom-cloudimg.tar.gz']
  const { status, stdout } = await build('bits-kernel', '--target', 'maas', ...named)
  assert.is(status, 0)
  const list = execFileSync('tar', ['-tf', stdout.trim()], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const boot = list.split('\n').filter((name) => /^\.\/boot\/./.test(name))
  assert.equal(
    boot.map((name) => name.replace(/-\d.*-cloud-amd64$/, '')).sort(),
    ['System.map', 'config', 'initrd.img', 'vmlinuz'].map((name) => `./boot/${name}`),
  )
  const custom = ['-xOf', stdout.trim(), './curtin/CUSTOM_KERNEL']
  assert.is(execFileSync('tar', custom, { encoding: 'utf8' }), kernel)

  const more = ['--target', 'maas', ...named, '--allow-leftover', 'logs']
  const again = await build('bits-kernel-again', ...more)
  assert.is(again.status, 0, again.stderr)
  assert.match(again.stderr, /^Take the system of an earlier build: /m)
  assert.not.match(again.stderr, /^Set up$/m)
  assert.ok((await readFile(again.stdout.trim())).equals(await readFile(stdout.trim())))
  assertNothingLeft(before)
})
cloud('ends with the last lines of a script that fails, here on a full disk', async () => {
  const customize = await scriptOf(
    'failing.sh',
    'seq 30\ndd if=/dev/zero of=/fill bs=1M && exit 0\nrm /fill\necho what went wrong\nexit 7\n',
  )
  const { status, stderr } = await build('bits-failing', '--customize', customize)
  assert.is(status, 1)
  assert.match(
    stderr,
    /^Error: Installation failed in phase "Set up": failing\.sh exited with status 7: what went wrong\n {2}--size gives the new system a larger disk\n {2}Its last lines:\n {4}\d+\n/m,
  )
  assert.match(stderr, /^ {4}dd: .*No space left on device$/m)
  assert.match(stderr, /^ {4}what went wrong\n?$/m)
  assert.not.match(stderr, /^ {4}5$/m)
  assert.not.ok((await readdir(join(dir, 'bits-failing'))).includes('debian-12'))
  assertNothingLeft(before)
})
cloud('ends with cloud-init’s own errors', async () => {
  const own = join(dir, 'bad-user-data')
  await writeFile(own, '#cloud-config\nruncmd:\n  - exit 3\nbootcmd:\n  - [false]\n')
  const { status, stderr } = await build('bits-bad', '--user-data', own)
  assert.is(status, 1)
  assert.match(
    stderr,
    /^Error: Installation failed in phase "Wait for cloud-init": cloud-init did not end well: /m,
  )
  assert.match(stderr, /bootcmd/)
  assertNothingLeft(before)
})
cloud('ends with what cloud-init’s schema says, where cloud-init itself goes on', async () => {
  const own = join(dir, 'odd-user-data')
  await writeFile(own, '#cloud-config\npackages: 7\n')
  const { status, stderr } = await build('bits-odd', '--user-data', own)
  assert.is(status, 1)
  assert.match(stderr, /^Error: .*cloud-init did not end well: [^]*\bpackages\b/m)
  assertNothingLeft(before)
})
cloud('names the kernel package that does not exist, before anything is installed', async () => {
  const { status, stderr } = await build('bits-nonesuch', '--kernel', 'linux-image-nonesuch')
  assert.is(status, 1)
  assert.match(
    stderr,
    /^Error: .*packages\.sh exited with status 1: error: apt can't install what is wanted: Unable to locate package linux-image-nonesuch$/m,
  )
  assert.not.match(stderr, /^Setting up /m)
  assertNothingLeft(before)
})
cloud('says that the guest’s proxy refuses', async () => {
  const proxy = createServer((_, response) => response.writeHead(403).end())
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const { port } = proxy.address() as AddressInfo
  try {
    const { status, stderr } = await build('bits-proxy', '--proxy', `http://127.0.0.1:${port}`)
    assert.is(status, 1)
    assert.match(
      stderr,
      /^Error: .*apt does not reach its sources through the proxy http:\/\/[\d.]+:\d+\n/m,
    )
    assert.match(stderr, /^ {4}.*403 +Forbidden/m)
  } finally {
    proxy.close()
  }
  assertNothingLeft(before)
})
cloud('takes back everything when it is interrupted', async () => {
  const { child, outcome, shows } = start('create-image-debian', words('bits-interrupted'))
  await shows(/Linux version/)
  child.kill('SIGINT')
  assert.is((await outcome).status, 130)
  assert.equal(await readdir(join(dir, 'bits-interrupted')).catch(() => []), [])
  assertNothingLeft(before)
})
cloud('says that this machine’s disk is full', async () => {
  const tmpfs = join(dir, 'tmpfs')
  await mkdir(tmpfs)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100M', 'tmpfs', tmpfs])
  try {
    const env = { TMPDIR: tmpfs }
    const { status, stderr } = await run('create-image-debian', words('bits-full'), { env })
    assert.is(status, 1)
    assert.match(stderr, /^Error: qemu-img .*No space left on device.*\n {2}The disk is full/m)
    assert.equal(await readdir(tmpfs), [])
  } finally {
    execFileSync('umount', [tmpfs])
  }
  assertNothingLeft(before)
})
cloud('says so when the base is none, or too large', async () => {
  const small = await build('bits-small', '--size', '2G')
  assert.is(small.status, 1)
  assert.match(small.stderr, /^Error: Cannot put ".*base\.qcow2" on a disk of 2147483648 bytes/m)
  assert.match(small.stderr, /--size 3072M or more/)
  const none = await run('create-image-debian', [
    ...['12', '--method', 'cloud-image', '--base', join(dir, 'none.qcow2')],
    ...['--output', join(dir, 'bits-none'), '--accel', 'tcg'],
  ])
  assert.is(none.status, 1)
  assert.match(none.stderr, /^Error: Cannot use base image ".*none\.qcow2": no such file/m)
  const tree = join(dir, 'tree.tar.xz')
  execFileSync('tar', ['-C', '/', '-cJf', tree, 'etc/passwd', 'etc/group', 'etc/hostname'])
  const files = await build('bits-tree', '--base', tree)
  assert.is(files.status, 1)
  assert.match(files.stderr, /^Error: Cannot use base image ".*": it is a tar of 3 files, none/m)
  assertNothingLeft(before)
})
cloud('says so when nobody does what the seed says', async () => {
  const empty = join(dir, 'empty.qcow2')
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', empty, '1G'])
  const { status, stderr } = await run('create-image-debian', [
    ...['12', '--method', 'cloud-image', '--base', empty, '--output', join(dir, 'bits-empty')],
    ...['--accel', 'tcg', '--timeout', '20'],
  ])
  assert.is(status, 1)
  assert.match(stderr, /^Error: Cannot set up "empty\.qcow2": its cloud-init did not begin \(/m)
  assertNothingLeft(before)
})
cloud.after(remove)
cloud.run()
