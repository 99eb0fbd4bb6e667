/**
 * `build-retro` as an operator runs it, on platforms that are made up: the image's disk is booted, and has
 * to hand over exactly the archive that was edited.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import imgmanifest from 'imgmanifest'
import { RETRO_EDITS } from '../../platform/retro.ts'
import { openUfs } from '../../platform/ufs/edit.ts'
import { fsck } from '../../platform/ufs/fsck.ts'
import { assertNothingLeft, leftovers, needPackages, run, start, workDir } from '../live.ts'
import { makePlatform, PASSWORD, PINGING } from './made-up.ts'
import { bootDisk, makeKernel } from './multiboot.ts'

needPackages({
  zip: 'zip',
  'grub-fstest': 'grub-common',
  mcopy: 'mtools',
  curl: 'curl',
})

const { dir, remove } = await workDir()
const unix = makeKernel(dir)
const OLD = '20130506T233003Z'
const NEWER = '20141030T081701Z'
const data = join(dir, 'data')
await mkdir(data)
const stock = new Map<string, Buffer>()
for (const [flavour, stamp] of [
  [2013, OLD],
  [2014, NEWER],
] as const) {
  const made = { flavour, stamp, unix, directory: `platform-release-${stamp}` }
  stock.set(stamp, await makePlatform(join(data, `platform-${stamp}.tgz`), dir, made))
}
const before = leftovers()
const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex')
const version = (
  JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
).version

type Manifest = Record<string, unknown> & { files: { size: number; sha1: string }[] }

/** The finished image: its manifest, its disk, the archive on that. */
async function opened(output: string, stamp: string, archiveName = 'boot_archive') {
  const base = join(output, `smartos-retro-${stamp}-${version}`)
  const manifest = JSON.parse(await readFile(`${base}.manifest`, 'utf8')) as Manifest
  const raw = join(dir, 'disk.raw')
  await rm(raw, { force: true })
  assert.is((await run('convert-image', [`${base}.zvol.gz`, raw])).status, 0)
  const take = async (path: string, to: string) => {
    await rm(to, { force: true })
    execFileSync('mcopy', ['-i', `${raw}@@1048576`, `::/${path}`, to])
    return to
  }
  let archive = await take(`platform/i86pc/amd64/${archiveName}`, join(dir, archiveName))
  if (archiveName.endsWith('.gz')) {
    execFileSync('gzip', ['-df', archive])
    archive = archive.replace(/\.gz$/, '')
  }
  const hash = await readFile(
    await take('platform/i86pc/amd64/boot_archive.hash', join(dir, 'hash')),
    'utf8',
  )
  return { base, manifest, raw, archive, hash }
}

const retro = suite('build-retro')
retro('makes an image of a platform of 2013', async () => {
  const { status, stdout, stderr } = await run('build-retro', [OLD], { cwd: dir })
  assert.is(status, 0, stderr)
  const output = join(dir, 'output')
  assert.equal((await readdir(output)).sort(), [
    `smartos-retro-${OLD}-${version}.manifest`,
    `smartos-retro-${OLD}-${version}.zvol.gz`,
  ])
  const { base, manifest, raw, archive, hash } = await opened(output, OLD)
  assert.is(stdout, `${base}.manifest\n`)
  assert.match(stderr, /^On SmartOS: imgadm install -m \S+\.manifest -f \S+\.zvol\.gz$/m)
  assert.match(stderr, /^On Triton: sdc-imgadm import -m \S+\.manifest -f \S+\.zvol\.gz$/m)
  assert.is(imgmanifest.validatePublicManifest({ ...manifest, activated: true }), null)
  assert.equal(
    [manifest['os'], manifest['nic_driver'], manifest['disk_driver'], manifest['image_size']],
    ['smartos', 'e1000', 'ide', 1024],
  )
  assert.is((await run('inspect-image', [`${base}.zvol.gz`])).status, 0)

  const edited = await readFile(archive)
  assert.is.not(sha1(edited), sha1(stock.get(OLD)!))
  assert.is(hash, `${sha1(edited)}\n`)
  const { commandLine, modules } = await bootDisk(raw)
  assert.equal(
    modules.map(({ bytes, sha1 }) => [bytes, sha1]),
    [[edited.length, sha1(edited)]],
  )
  assert.match(
    commandLine,
    /^\/platform\/i86pc\/kernel\/amd64\/unix -B console=ttya,ttya-mode="115200,8,n,1,-",smartos=true,standalone=true,disable-kvm=true/,
  )
  const rescue = await bootDisk(raw, 'rescue')
  assert.match(rescue.commandLine, /,noimport=true/)
  assert.match((await bootDisk(raw, 'kmdb')).commandLine, /unix -kd -B /)

  assert.equal(fsck(archive), [])
  assert.not.ok((await readFile(raw)).includes(PASSWORD), 'the password is nowhere')
  assertNothingLeft(before)
})
retro('edits what the source document lists', async () => {
  const { archive } = await opened(join(dir, 'output'), OLD)
  const ufs = openUfs(archive)
  const text = (path: string) => ufs.readFile(path).toString()
  assert.match(text('/etc/shadow'), /^root:NP:6445::::::\ndaemon:NP:/)
  assert.is(ufs.stat('/etc/shadow').mode, 0o400)
  assert.match(
    text('/etc/ssh/sshd_config'),
    /^PasswordAuthentication no\nPermitRootLogin without-password\nProtocol 2\n$/,
  )
  assert.is(ufs.readLink('/smartdc/retro/mdata-get'), 'mdata')
  assert.not.match(text('/etc/inet/ntp.conf'), /203\.0\.113/)
  assert.is.not(text('/lib/svc/method/ntp'), PINGING)
  assert.match(text('/etc/ssl/certs/ca-certificates.crt'), /^-----BEGIN CERTIFICATE-----/)
  assert.is(ufs.readLink('/etc/curl/curlCA'), '/etc/ssl/certs/ca-certificates.crt')
  assert.match(text('/etc/profile'), /export CURL_CA_BUNDLE SSL_CERT_FILE\n$/)
  assert.match(text('/etc/motd') + text('/etc/issue'), new RegExp(`build: ${OLD}`))
  for (const path of ['/lib/svc/method/retro-setup', '/lib/svc/method/retro-network']) {
    assert.is(ufs.stat(path).mode, 0o555, path)
  }
  assert.is(text('/smartdc/many/file-number-7'), '7777777', 'the rest is as it was')
  // A reader that is not ours: GRUB's.
  for (const { path, type } of ufs.walk()) {
    if (type !== 'file' || /\/many\//.test(path)) continue
    const read = execFileSync('grub-fstest', [archive, 'cat', `(loop0)${path}`], {
      maxBuffer: 1 << 28,
    })
    assert.ok(read.equals(ufs.readFile(path)), `GRUB reads ${path} as we do`)
  }
  ufs.close()
})
retro('finds the drivers that the platform has, and leaves out what does not fit', async () => {
  const output = join(dir, 'output-2014')
  const words = [NEWER, '--size', '256M', '--output', output, '--json']
  const { status, stdout, stderr } = await run('build-retro', words, { cwd: dir })
  assert.is(status, 0, stderr)
  const { leftOut } = JSON.parse(stdout) as { leftOut: string[] }
  assert.equal(leftOut, [
    'start NTP where nobody answers to ping: /lib/svc/method/ntp does not ping',
  ])
  assert.match(stderr, /^Warning: Left out: start NTP where/m)
  const { manifest, raw, archive } = await opened(output, NEWER, 'boot_archive.gz')
  assert.equal(
    [manifest['nic_driver'], manifest['disk_driver'], manifest['image_size']],
    ['e1000', 'virtio', 256],
  )
  const edited = await readFile(archive)
  const { modules } = await bootDisk(raw)
  assert.equal(
    modules.map(({ bytes, sha1 }) => [bytes, sha1]),
    [[edited.length, sha1(edited)]],
  )
})
retro('takes a zip file of Jenkins, by address, and what the operator brings', async () => {
  const zip = join(dir, 'archive.zip')
  execFileSync('zip', ['-q', zip, `data/platform-${OLD}.tgz`], { cwd: dir })
  const bytes = await readFile(zip)
  const server = createServer((_, answer) => answer.end(bytes))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  await writeFile(join(dir, 'my-network.conf'), '# mine\n')
  await writeFile(join(dir, 'custom.tgz'), 'custom')
  await writeFile(join(dir, 'ca.pem'), 'CA\n')
  const output = join(dir, 'output-zip')
  try {
    const { port } = server.address() as AddressInfo
    const digest = createHash('sha256').update(bytes).digest('hex')
    const { status, stderr } = await run(
      'build-retro',
      [
        ...[OLD, '--platform', `http://127.0.0.1:${port}/archive.zip`, '--checksum', digest],
        ...['--output', output, '--cache', join(dir, 'cache'), '--network', 'my-network.conf'],
        ...['--custom', 'custom.tgz', '--ca-bundle', 'ca.pem'],
      ],
      { cwd: dir },
    )
    assert.is(status, 0, stderr)
  } finally {
    server.close()
  }
  const { archive, raw } = await opened(output, OLD)
  const ufs = openUfs(archive)
  assert.is(ufs.readFile('/smartdc/retro/network.conf').toString(), '# mine\n')
  assert.is(ufs.readFile('/etc/ssl/certs/ca-certificates.crt').toString(), 'CA\n')
  ufs.close()
  execFileSync('mcopy', ['-i', `${raw}@@1048576`, '::/custom.tgz', join(dir, 'custom-back')])
  assert.is(await readFile(join(dir, 'custom-back'), 'utf8'), 'custom')
})

retro('needs no SYSLINUX with the disk of an image that was built before', async () => {
  const output = join(dir, 'output-boot-disk')
  const other = join(dir, `output-zip/smartos-retro-${OLD}-${version}.zvol.gz`)
  const words = [NEWER, '--boot-disk', other, '--output', output, '--verbose']
  const { status, stderr } = await run('build-retro', words, { cwd: dir })
  assert.is(status, 0, stderr)
  assert.not.match(stderr, /\b(syslinux --install|mkfs\.vfat|sfdisk) /)
  const { archive, raw, manifest } = await opened(output, NEWER)
  assert.is(manifest['image_size'], 1024)
  const edited = await readFile(archive)
  const { commandLine, modules } = await bootDisk(raw)
  assert.match(commandLine, /smartos=true/)
  assert.equal(
    modules.map(({ bytes, sha1 }) => [bytes, sha1]),
    [[edited.length, sha1(edited)]],
  )
  const listed = execFileSync('mdir', ['-b', '-/', '-i', `${raw}@@1048576`], { encoding: 'utf8' })
  assert.not.match(listed, /custom\.tgz/, 'nothing of the other is left')
  const not = await run('build-retro', [NEWER, '--boot-disk', 'disk.raw'], { cwd: dir })
  assert.is(not.status, 0, 'a raw disk of such an image will do')
})

/** What the command says of a platform that was made otherwise. */
async function refused(
  made: Partial<Parameters<typeof makePlatform>[2]>,
  stamp = OLD,
): Promise<string> {
  const path = join(dir, 'other.tgz')
  await makePlatform(path, dir, { flavour: 2013, stamp: OLD, ...made })
  const output = join(dir, 'output-refused')
  const words = [stamp, '--platform', path, '--output', output]
  const { status, stderr, stdout } = await run('build-retro', words, { cwd: dir })
  assert.equal([status, stdout], [1, ''])
  assert.not.match(stderr, /^ {4}at /m)
  assert.not.ok((await readdir(dir)).includes('output-refused'), 'nothing is written')
  assertNothingLeft(before)
  return /^Error: (.*)$/m.exec(stderr)?.[1] ?? stderr
}
for (const [what, made, stamp, says] of [
  [
    'the platform of another day',
    {},
    NEWER,
    /: its directory says 20130506T233003Z, wanted is 2014/,
  ],
  [
    'a kernel of another day',
    { tarball: { 'i86pc/kernel/amd64/unix': `joyent_${NEWER}` } },
    OLD,
    /: its kernel says 20141030T081701Z, wanted is 20130506T233003Z$/,
  ],
  [
    'an archive with a log',
    { damage: (archive: Buffer) => archive.writeUInt32LE(77, 8192 + 1324) },
    OLD,
    /log/,
  ],
  ['what is no UFS', { damage: (archive: Buffer) => archive.fill(0, 8192, 12288) }, OLD, /UFS/],
  [
    'a platform without /etc/shadow',
    { files: [{ type: 'directory', path: '/etc/shadow' }] as const },
    OLD,
    /shadow/,
  ],
] as const) {
  retro(`refuses ${what}`, async () => {
    assert.match(await refused(made, stamp), says)
  })
}
retro('says how much is missing in an archive without room', async () => {
  const probe = join(dir, 'probe')
  await writeFile(probe, stock.get(OLD)!)
  const { freeBytes } = (() => {
    const ufs = openUfs(probe)
    try {
      return ufs.space()
    } finally {
      ufs.close()
    }
  })()
  const content = Buffer.alloc(freeBytes - 48 * 1024, 'x')
  const says = await refused({ files: [{ type: 'file', path: '/full', content }] })
  assert.match(says, /^Cannot (write|create) "?\/.*: \d+ bytes are missing/)
})
retro('says how to get a platform that is not there', async () => {
  const { status, stderr } = await run('build-retro', ['20150101T000000Z'], { cwd: dir })
  assert.is(status, 1)
  assert.match(stderr, /^Error: Cannot find data\/platform-20150101T000000Z\.tgz$/m)
  assert.match(stderr, /mkdir -p data && curl -fo data\/platform-20150101T000000Z\.tgz https:/)
})
retro('refuses what it cannot read, before any work', async () => {
  execFileSync('mkfifo', [join(dir, 'pipe')])
  for (const [words, says] of [
    [['2013'], /Cannot read stamp "2013"/],
    [[OLD, '--size', '100M'], /Size 100M is too small: a platform needs 256M at least/],
    [[OLD, '--network', 'none.conf'], /Cannot read --network "none\.conf"/],
    // A pipe that nobody writes to would be waited for, and no signal would end that.
    [[OLD, '--network', 'pipe'], /Cannot use "pipe": it is no file/],
    [[OLD, '--ca-bundle', 'pipe'], /Cannot use "pipe": it is no file/],
    [[OLD, '--custom', 'pipe'], /Cannot use "pipe": it is no file/],
    [[OLD, '--boot-disk', 'pipe'], /Cannot use "pipe": it is no file/],
    [[OLD, '--boot-disk', 'none.gz'], /Cannot read --boot-disk "none\.gz"/],
    [[OLD, '--checksum', 'abc'], /--checksum needs --platform/],
  ] as const) {
    const { status, stderr } = await run('build-retro', [...words], { cwd: dir })
    assert.is(status, 2)
    assert.match(stderr, says)
  }
})
retro('Ctrl-C leaves nothing', async () => {
  const output = join(dir, 'output-interrupted')
  const { child, outcome, shows } = start('build-retro', [NEWER, '--output', output], { cwd: dir })
  await shows(/^Make the disk/m)
  child.kill('SIGINT')
  assert.is((await outcome).status, 130)
  assert.not.ok((await readdir(dir)).includes('output-interrupted'))
  assertNothingLeft(before)
})
retro('every edit has a name of its own', () => {
  const names = RETRO_EDITS.map(({ what }) => what).filter((what) => what !== 'its service')
  assert.is(new Set(names).size, names.length)
})
retro.after(remove)
retro.run()
