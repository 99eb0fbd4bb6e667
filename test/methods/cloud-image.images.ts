/**
 * Method cloud-image with a real cloud image, which is one of ours with another datasource: booted, changed by
 * a script that installs a package through apt, and every way to fail.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  workDir,
} from '../live.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  xorriso: 'xorriso',
  debugfs: 'e2fsprogs',
})

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
const build = (output: string, ...more: string[]) =>
  run('create-image-debian', [
    ...['12', '--method', 'cloud-image', '--base', base, '--output', join(dir, output)],
    ...['--size', '4G', '--accel', 'tcg', ...guestMirrors, ...more],
  ])
let before: string[]

/** A file of the image, by the file system's own debugger. */
async function fileOf(manifest: string, path: string): Promise<string> {
  const raw = join(dir, 'look.raw')
  execFileSync('rm', ['-f', raw])
  const image = manifest.replace(/imgmanifest$/, 'zfs.gz')
  assert.is((await run('convert-image', [image, raw])).status, 0)
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
    const { status, stdout, stderr } = await build(
      'bits',
      ...['--customize', customize, '--files', join(dir, 'files'), '--user-data', own],
    )
    assert.is(status, 0, stderr)
    assert.match(stderr, /^JOYENT_STATUS_CLOUD_INIT=ok$/m)
    const manifest = stdout.trim()
    assert.is((await run('inspect-image', [manifest])).status, 0)
    assert.is(await fileOf(manifest, '/etc/greeting'), 'from the host\nHello, world!\nactive\n')
    assert.is(await fileOf(manifest, '/etc/own'), 'own')
    assert.match(await fileOf(manifest, '/etc/cloud/cloud.cfg.d/90_smartos.cfg'), /SmartOS/)
    assert.is(await fileOf(manifest, '/etc/machine-id'), '')
    assert.is(await fileOf(manifest, '/var/lib/systemd/random-seed'), '')
    assert.is(await fileOf(manifest, '/var/lib/cloud/data/instance-id'), '')
    assertNothingLeft(before)
  },
)
cloud('ends with the last words of a script that fails', async () => {
  const customize = join(dir, 'failing.sh')
  await writeFile(customize, '#!/bin/sh\necho what went wrong\nexit 7\n')
  const { status, stderr } = await build('bits-failing', '--customize', customize)
  assert.is(status, 1)
  assert.match(
    stderr,
    /^Error: Installation failed in phase "Set up": it says JOYENT_STATUS_POST=fail: failing\.sh exited with status 7$/m,
  )
  assert.match(stderr, /^what went wrong$/m)
  assert.not.ok((await readdir(join(dir, 'bits-failing'))).includes('debian-12'))
  assertNothingLeft(before)
})
cloud('ends with cloud-init’s own errors', async () => {
  const own = join(dir, 'bad-user-data')
  await writeFile(own, '#cloud-config\nruncmd:\n  - exit 3\nbootcmd:\n  - [false]\n')
  const { status, stderr } = await build('bits-bad', '--user-data', own)
  assert.is(status, 1)
  assert.match(stderr, /^Error: .*JOYENT_STATUS_CLOUD_INIT=fail: error: cloud-init, /m)
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
  assert.match(none.stderr, /^Error: Cannot use base image ".*none\.qcow2": .*No such file/m)
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
