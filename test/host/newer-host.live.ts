/**
 * On a host with Debian 13: another mmdebstrap, apt, e2fsprogs and fuse2fs than those that the other tests have. The host
 * is a directory, with mounts and processes of its own.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machineMirrors, needPackages, root, run, workDir } from '../live.ts'

needPackages({ mmdebstrap: 'mmdebstrap', unshare: 'util-linux', git: 'git' })

const { dir, remove } = await workDir()
const host = join(dir, 'host')
const CHECKOUT = '/srv/hybrid-images'

/** What a machine has mounted; then the words, as on a terminal there. */
const ENTER = `
set -e
host=$1
shift
mount --bind "$host" "$host"
mount -t proc proc "$host/proc"
mount -t sysfs sys "$host/sys"
mount --rbind /dev "$host/dev"
mount -t tmpfs run "$host/run"
exec chroot "$host" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "$1"
`
function onHost(script: string) {
  const words = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh']
  const { status, stdout, stderr } = spawnSync('unshare', [...words, host, script], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  process.stderr.write(stderr)
  return { status, stdout, stderr }
}

/** Not in before(): what goes wrong there uvu does not tell. */
async function makeHost() {
  const mirrors = machineMirrors()
  const sources = mirrors[1] === undefined ? [] : [`deb ${mirrors[1]} trixie main`]
  // npm's packages are those of this checkout: Debian's npm would bring five hundred more of its own.
  const packages = 'nodejs,git,ca-certificates'
  const words = ['--quiet', '--variant=apt', `--include=${packages}`, 'trixie', host, ...sources]
  execFileSync('mmdebstrap', words, { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) await copyFile(file, join(host, file))
  execFileSync('git', ['clone', '--quiet', root, join(host, CHECKOUT)])
  execFileSync('cp', ['-a', join(root, 'node_modules'), join(host, CHECKOUT)])
}
try {
  await makeHost()
} catch (error) {
  await remove()
  throw error
}

const newer = suite('a host with Debian 13')
newer.after(remove)

newer('builds an image, with programs that it installs', async () => {
  const words = ['12', ...machineMirrors(), '--output', '/srv/bits'].join(' ')
  const { status, stdout, stderr } = onHost(`${CHECKOUT}/bin/create-image-debian ${words}`)
  assert.is(status, 0, stderr)
  assert.match(stderr, /^Installing host packages:$/m)
  const manifest = join(host, stdout.trim())
  const lock = await readFile(manifest.replace(/imgmanifest$/, 'lock.json'), 'utf8')
  const { tools } = JSON.parse(lock) as { tools: { mmdebstrap: string } }
  assert.match(tools.mmdebstrap, /^1\.([4-9]|\d\d)/)
  const { status: inspected, stdout: said } = await run('inspect-image', [manifest])
  assert.is(inspected, 0, said)
})
newer('compares disks: superblocks, files', async () => {
  const script = join(host, 'srv/disks')
  await writeFile(
    script,
    `mkdir tree; echo one >tree/motd; touch -d @86400 tree/motd
for disk in a b; do
  truncate -s 100M $disk.raw; mkfs.ext4 -q -F -d tree $disk.raw; echo two >tree/motd
done`,
  )
  const disks = `cd /srv; sh disks; ${CHECKOUT}/bin/compare-images a.raw b.raw --json`
  const { status, stdout, stderr } = onHost(disks)
  assert.is(status, 1, stderr)
  assert.match(stderr, /^Warning: .* hard links: every name is a file of its own$/m)
  assert.match(stdout, /"Filesystem UUID"/)
  assert.match(stdout, /"motd"/)
})
newer.run()
