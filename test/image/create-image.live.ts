/**
 * `create-image-debian` as an operator runs it, with a real mirror: the image, what is in it, and a
 * second build without the network. That an image boots, test-image.live.ts shows.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import imgmanifest from 'imgmanifest'
import { parseMap } from '../../lib/disk/extents.ts'
import { statementProblems } from '../statement.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  warmCache,
  workDir,
} from '../live.ts'

needPackages({ debugfs: 'e2fsprogs', 'zfs-fuse': 'zfs-fuse' })

const { dir, remove } = await workDir()
const mirrors = machineMirrors()
const output = join(dir, 'bits')
const cache = join(dir, 'cache')
const before = leftovers()

type Built = {
  manifest: string
  image: { path: string; bytes: number; sha1: string; sha256: string }
  timings: { step: string; seconds: number }[]
}
let built: Built
let raw: string

const building = suite('create-image-debian')
building.after(remove)

building('builds an image, and prints it as JSON', async () => {
  await warmCache(cache)
  const customize = join(dir, 'customize.sh')
  await writeFile(
    customize,
    '#!/bin/sh -e\nid -u >/root/customized\necho "$http_proxy" >>/root/customized\n' +
      'apt-get install -y --no-install-recommends tree >&2\n',
  )
  await chmod(customize, 0o755)
  const result = await run('create-image-debian', [
    ...['12', '--output', output, '--cache', cache, '--json'],
    ...['--customize', customize],
    ...mirrors,
  ])
  assert.is(result.status, 0)
  built = JSON.parse(result.stdout) as Built
  const base = basename(built.manifest, '.imgmanifest')
  assert.equal((await readdir(dirname(built.manifest))).sort(), [
    `${base}.imgmanifest`,
    `${base}.lock.json`,
    `${base}.provenance.json`,
    `${base}.report.html`,
    `${base}.sbom.cdx.json`,
    `${base}.zfs.gz`,
  ])
  const stamp = dirname(built.manifest).split('/').at(-1)
  const latest = await readFile(join(output, 'debian-12-latest-build-stamp'), 'utf8')
  assert.is(latest, `${stamp}\n`)
  assert.match(stamp!, /^.+-\d{8}T\d{6}Z-([0-9a-f]{12}|nogit)(-dirty)?$/)
})
building('leaves nothing behind', () => assertNothingLeft(before))
building('writes a manifest that Triton accepts', async () => {
  const manifest = JSON.parse(await readFile(built.manifest, 'utf8')) as {
    files: { sha1: string; size: number }[]
    image_size: number
  }
  assert.is(imgmanifest.validatePublicManifest({ ...manifest, activated: true }), null)
  assert.is(manifest.files[0]!.sha1, built.image.sha1)
  assert.is(manifest.files[0]!.size, built.image.bytes)
  assert.is(manifest.image_size, 10240)
  const sha1sum = execFileSync('sha1sum', [built.image.path], { encoding: 'utf8' })
  assert.is(sha1sum.split(' ')[0], built.image.sha1)
})
building('writes a stream that zstreamdump and inspect-image find whole', async () => {
  const script = `set -o pipefail; gzip -dc ${built.image.path} | zstreamdump`
  const dump = execFileSync('bash', ['-c', script], { encoding: 'utf8' })
  assert.match(dump, /features = 0\n/)
  assert.match(dump, /Total DRR_END records = 1/)
  const { status, stdout } = await run('inspect-image', [built.manifest])
  assert.is(status, 0)
  const checksum = /END checksum = (\S+)/.exec(dump)![1]!
  assert.ok(stdout.includes(checksum), 'both compute the same checksum')
})
building('converts back to the raw disk', async () => {
  raw = join(dir, 'disk.raw')
  const { status } = await run('convert-image', [built.image.path, raw])
  assert.is(status, 0)
  execFileSync('sfdisk', ['--verify', '--quiet', raw])
  const table = JSON.parse(execFileSync('sfdisk', ['--json', raw], { encoding: 'utf8' })) as {
    partitiontable: { label: string; partitions: { start: number; size: number; name: string }[] }
  }
  assert.is(table.partitiontable.label, 'gpt')
  assert.equal(
    table.partitiontable.partitions.map(({ name }) => name),
    ['bios', 'esp', 'root'],
  )
})
building('holds a sound file system', () => {
  // The root file system by itself, sparse, so that its own tools can look at it.
  const start = 266240
  execFileSync('bash', [
    '-c',
    `cp --sparse=always ${raw} ${dir}/root.tmp && dd if=${dir}/root.tmp of=${dir}/root.img ` +
      `bs=1M skip=$((${start} / 2048)) conv=sparse status=none && rm ${dir}/root.tmp`,
  ])
  execFileSync('e2fsck', ['-fn', `${dir}/root.img`], { stdio: 'ignore' })
})

const debugfs = (request: string) =>
  execFileSync('debugfs', ['-R', request, `${dir}/root.img`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
const cat = (path: string) => debugfs(`cat ${path}`)
const exists = (path: string) => !/File not found/.test(debugfsAll(`stat ${path}`))
const debugfsAll = (request: string) =>
  execFileSync('bash', ['-c', `debugfs -R '${request}' ${dir}/root.img 2>&1`], { encoding: 'utf8' })

building('ran the operator’s script as root', () => {
  assert.is(cat('/root/customized'), '0\n\n')
  assert.ok(exists('/usr/bin/tree'))
})
building('lists the packages that are in it, the operator’s own among them', async () => {
  const sbom = JSON.parse(
    await readFile(built.manifest.replace('.imgmanifest', '.sbom.cdx.json'), 'utf8'),
  ) as { components: { type: string; name: string; version: string }[] }
  const listed = sbom.components
    .filter(({ type }) => type === 'library')
    .map(({ name, version }) => `${name} ${version}`)
  const installed = cat('/var/lib/dpkg/status')
    .split('\n\n')
    .filter((text) => /^Status: \S+ \S+ installed$/m.test(text))
    .map((text) => `${/^Package: (.*)$/m.exec(text)![1]} ${/^Version: (.*)$/m.exec(text)![1]}`)
  assert.equal(listed.sort(), installed.sort())
  assert.ok(listed.some((one) => one.startsWith('tree ')))
})
building('tells where it came from, as in-toto and SLSA want it', async () => {
  const path = built.manifest.replace('.imgmanifest', '.provenance.json')
  const statement = JSON.parse(await readFile(path, 'utf8')) as {
    subject: { digest: { sha256: string } }[]
    predicate: { buildDefinition: { resolvedDependencies: { name: string; digest?: object }[] } }
  }
  assert.equal(statementProblems(statement), [])
  assert.is(statement.subject[0]!.digest.sha256, built.image.sha256)
  const materials = statement.predicate.buildDefinition.resolvedDependencies
  for (const name of ['bookworm InRelease', 'customize.sh']) {
    assert.ok(materials.find((one) => one.name === name)?.digest, name)
  }
})
building('has nothing of the build in it', () => {
  assert.is(cat('/etc/machine-id'), '')
  for (const path of [
    '/etc/hostname',
    '/etc/ssh/ssh_host_ed25519_key',
    '/etc/ssh/ssh_host_rsa_key',
    '/var/lib/dbus/machine-id',
    '/var/tmp/hybrid-images',
    '/etc/apt/apt.conf.d/99mmdebstrap',
    '/etc/dpkg/dpkg.cfg.d/99mmdebstrap',
    '/var/log/dpkg.log',
    '/var/log/apt/history.log',
    '/root/.ssh',
  ]) {
    assert.not(exists(path), path)
  }
  // "." and ".." and what dpkg or systemd create empty
  const names = (path: string) =>
    [...debugfs(`ls -p ${path}`).matchAll(/^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\//gm)].map(
      ([, name]) => name!,
    )
  const files = (path: string) => names(path).filter((name) => !/^(\.\.?|lock|partial)$/.test(name))
  assert.equal(files('/var/cache/apt/archives'), [])
  assert.equal(files('/var/lib/apt/lists'), [])
  assert.equal(files('/var/lib/cloud'), [])
  assert.equal(files('/tmp'), [])
  assert.equal(files('/var/tmp'), [])
  assert.match(debugfs('stat /etc/resolv.conf'), /stub-resolv\.conf/)
  assert.match(cat('/etc/shadow'), /^root:\*:/m)
})
building('has the vendor’s package sources, whatever it was built from', () => {
  const sources = cat('/etc/apt/sources.list')
  assert.match(sources, /^deb https?:\/\/\S+\/debian bookworm main$/m)
  assert.match(sources, /^deb https?:\/\/\S+\/debian bookworm-updates main$/m)
  assert.match(sources, /^deb https?:\/\/\S+\/debian-security bookworm-security main$/m)
  assert.is(sources.trim().split('\n').length, 3)
})
building('listens to the metadata service only', async () => {
  const ours = await readFile(new URL('../../cloud-init/90_smartos.cfg', import.meta.url), 'utf8')
  assert.is(cat('/etc/cloud/cloud.cfg.d/90_smartos.cfg'), ours)
  assert.match(ours, /^datasource_list: \[SmartOS\]$/m)
})
building('has both boot loaders, the console and the kernel arguments', () => {
  assert.match(cat('/boot/grub/grub.cfg'), /console=ttyS0,115200n8 tsc=reliable net\.ifnames=0/)
  assert.not.match(cat('/boot/grub/grub.cfg'), /ds=nocloud/)
  assert.ok(exists('/boot/grub/i386-pc/core.img'))
  assert.match(cat('/etc/fstab'), /^UUID=\S+ \/ ext4 /m)
  assert.not.match(cat('/etc/fstab'), /swap/)
  const esp = execFileSync('mdir', ['-b', '-/', '-i', `${raw}@@${4096 * 512}`], {
    encoding: 'utf8',
  })
  assert.match(esp, /EFI\/BOOT\/BOOTX64\.EFI/)
  assert.match(esp, /EFI\/debian\/grub\.cfg/i)
})
building('has a banner with name, version and date', () => {
  const version = /-(\d{8})\.imgmanifest$/.exec(built.manifest)![1]!
  for (const file of ['/etc/issue', '/etc/issue.net', '/etc/motd']) {
    assert.match(cat(file), /Debian 12 \(bookworm\)/, file)
    assert.ok(cat(file).includes(`debian-12 ${version}`), file)
  }
})
building('allocates no zeros: the disk is sparse after the way there and back', () => {
  const map = execFileSync('qemu-img', ['map', '--output=json', '-f', 'raw', raw], {
    encoding: 'utf8',
  })
  const allocated = parseMap(map).reduce((sum, { length }) => sum + length, 0)
  assert.ok(allocated < 2 * 1024 ** 3, `${allocated} bytes`)
})
/** Programs in the order in which a log names them; comments and here-documents are no commands. */
const programs = (log: string) =>
  log
    .replaceAll(/<<'END'\n[^]*?\nEND/g, '')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .filter((line) => !/^\S+ (--version|-version|-V|--help)$/.test(line)) // asked for the provenance
    .map((line) => line.split(' ').find((word) => !/^\w+=/.test(word)))

building(
  'builds without the network what a stage fetched before, as --dry-run prints it',
  async () => {
    const own = ['--output', join(dir, 'again'), '--cache', join(dir, 'fetched'), ...mirrors]
    const fetched = await run('create-image-debian', ['12', 'fetch', '--include', 'rsync', ...own])
    assert.is(fetched.status, 0)
    assert.ok(existsSync(fetched.stdout.trim()))
    assert.not(existsSync(join(dir, 'again')))
    // The choice of packages too would be taken as the stage has kept it.
    const args = ['12', 'image', '--include', 'rsync', '--fresh', ...own]
    // What tries the network all the same finds nobody there.
    const env = { http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9', TRACE: '1' }
    const dry = await run('create-image-debian', [...args, '--dry-run'], { env })
    assert.not(existsSync(join(dir, 'again')))
    const { status, stdout, stderr } = await run('create-image-debian', args, { env })
    assert.is(status, 0)
    assert.match(stdout, /^\/.*\/debian-12-\d{8}\.imgmanifest\n$/)
    const sbom = await readFile(stdout.trim().replace('.imgmanifest', '.sbom.cdx.json'), 'utf8')
    assert.match(sbom, /"name": ?"rsync"/)
    assertNothingLeft(before)
    // git only reads, and what undoes something is told in words before. The system is packed for the next build
    // while the disk is made: which of the two starts first is chance.
    const changing = (log: string) =>
      programs(log).filter((program) => !['git', 'umount', 'tar'].includes(program!))
    const packing = (log: string) => programs(log).filter((program) => program === 'tar')
    const ran = changing(stderr)
    assert.equal(changing(dry.stderr), ran)
    assert.equal(packing(dry.stderr), packing(stderr))
    assert.ok(ran.includes('mmdebstrap') && ran.includes('qemu-img'))
    assert.match(stderr, /^# \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/m)
  },
)
building.run()
