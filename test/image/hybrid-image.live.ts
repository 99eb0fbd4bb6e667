/** `create-hybrid-image` as an operator runs it, with a tiny installer on a CD that boots. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import imgmanifest from 'imgmanifest'
import { assertNothingLeft, leftovers, needPackages, run, start, workDir } from '../live.ts'
import { makeMiniInstaller, makeMiniIso } from '../mini-installer.ts'

needPackages({
  cpio: 'cpio',
  'grub-mkrescue': 'grub-common',
  '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
  mformat: 'mtools',
  xorriso: 'xorriso',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const installer = await makeMiniInstaller(dir)
const before = leftovers()

/** A medium whose installer does this without being asked. */
async function medium(what: string): Promise<string> {
  const iso = join(dir, `${what}.iso`)
  await makeMiniIso(installer, what, iso)
  return iso
}
const described = ['-d', 'A test', '-u', 'https://example.com/test', '--size', '64M']
const small = ['--memory', '256M', '--cpus', '1', '--accel', 'tcg']
let good: string

const building = suite('create-hybrid-image')
building('installs from a CD that boots, and makes an image', async () => {
  good = await medium('good')
  const output = join(dir, 'bits')
  const { status, stdout, stderr } = await run('create-hybrid-image', [
    ...['-i', good, '-n', 'mini', ...described, ...small, '-o', output, '--json'],
    ...['--markers', 'PRE,POST'],
  ])
  assert.is(status, 0)
  const { manifest, image } = JSON.parse(stdout) as { manifest: string; image: { path: string } }
  const day = /mini-(\d{8})\.imgmanifest$/.exec(manifest)![1]
  assert.equal((await readdir(output)).sort(), [
    `mini-${day}.imgmanifest`,
    `mini-${day}.serial.log`,
    `mini-${day}.zfs.gz`,
  ])
  const written = JSON.parse(await readFile(manifest, 'utf8')) as { homepage: string }
  assert.is(imgmanifest.validatePublicManifest({ ...written, activated: true }), null)
  assert.is(written.homepage, 'https://example.com/test')
  assert.match(
    await readFile(join(output, `mini-${day}.serial.log`), 'utf8'),
    /JOYENT_STATUS_POST=ok/,
  )
  assert.match(stderr, /^Phase two: partitions$/m, 'the serial console is shown live')
  assert.match(stderr, /^Screen: VNC at 127\.0\.0\.1 port 59\d\d, password \S{8}$/m)
  assert.is((await run('inspect-image', [manifest])).status, 0)

  const raw = join(dir, 'back.raw')
  assert.is((await run('convert-image', [image.path, raw])).status, 0)
  const file = await open(raw)
  const bytes = Buffer.alloc(64 * 1024 ** 2)
  await file.read(bytes, 0, bytes.length, 0)
  await file.close()
  assert.ok(bytes.subarray(0, 4 * 1024 ** 2).every((byte) => byte === 'x'.charCodeAt(0)))
  assert.ok(bytes.subarray(4 * 1024 ** 2).every((byte) => byte === 0))
  assertNothingLeft(before)
})
building('fills a prototype in, and hands words to QEMU in their order', async () => {
  const prototype = join(dir, 'manifest.in')
  await writeFile(
    prototype,
    JSON.stringify({
      ...{ v: 2, uuid: '@IMAGE_UUID@', owner: '352971aa-31ba-496c-9ade-a379feaecd52' },
      ...{
        name: '@NAME@',
        version: '@DATE@',
        type: 'zvol',
        os: 'linux',
        image_size: '@ZVOL_SIZE@',
      },
      ...{ description: '@DESC@', homepage: '@HOMEPAGE@', published_at: '@TIME_NOW@' },
      files: [{ sha1: '@IMAGE_SHA@', size: '@GZIP_SIZE@', compression: 'gzip' }],
      ...{ nic_driver: 'virtio', disk_driver: 'virtio', cpu_type: 'host' },
    }),
  )
  const output = join(dir, 'bits-prototype')
  const { status, stdout, stderr } = await run('create-hybrid-image', [
    ...[
      '-i',
      good,
      '-n',
      'mini',
      ...described,
      ...small,
      '-o',
      output,
      '-p',
      prototype,
      '--verbose',
    ],
    // The classic way round the medium's own boot loader.
    ...['--', '-kernel', installer.kernel, '-initrd', installer.initrd],
    ...['-append', 'console=ttyS0 rdinit=/init do=good of=the-operator'],
  ])
  assert.is(status, 0)
  const manifest = JSON.parse(await readFile(stdout.trim(), 'utf8')) as Record<string, unknown>
  assert.is(manifest['owner'], '352971aa-31ba-496c-9ade-a379feaecd52')
  assert.is(manifest['homepage'], 'https://example.com/test')
  assert.is(manifest['image_size'], 64)
  assert.is((await run('inspect-image', [stdout.trim()])).status, 0)
  assert.match(stderr, /Command line: console=ttyS0 rdinit=\/init do=good of=the-operator/)
})
for (const [what, wrong, words] of [
  [
    'late',
    /^Error: Installation failed: it says JOYENT_STATUS_POST=fail: grub-installer: error:/m,
    [],
  ],
  ['panic', /^Error: Installation failed: Kernel panic - not syncing/m, []],
  [
    'unmarked',
    /^Error: Installation failed: JOYENT_STATUS_POST is missing/m,
    ['--markers', 'PRE,POST'],
  ],
  ['nothing', /^Error: Installation failed: it ended, and nothing is on the disk/m, []],
  ['chatty', /^Error: Installation failed: it took over 20 s/m, ['--timeout', '20']],
] as const) {
  building(`says how an installation failed, and writes nothing: ${what}`, async () => {
    const output = join(dir, `bits-${what}`)
    const { status, stdout, stderr } = await run('create-hybrid-image', [
      ...['-i', await medium(what), '-n', 'mini', ...described, ...small, '-o', output, ...words],
    ])
    assert.is(status, 1)
    assert.match(stderr, wrong)
    assert.is(stdout, '')
    assert.equal(await readdir(output).catch(() => []), [])
    assertNothingLeft(before)
  })
}
building('builds the same name twice at once', async () => {
  const outcomes = await Promise.all(
    ['a', 'b'].map((one) =>
      run('create-hybrid-image', [
        ...['-i', good, '-n', 'mini', ...described, ...small, '-o', join(dir, 'same', one)],
      ]),
    ),
  )
  assert.equal(
    outcomes.map(({ status }) => status),
    [0, 0],
  )
  assertNothingLeft(before)
})
building('leaves nothing when it is interrupted', async () => {
  const output = join(dir, 'bits-interrupted')
  await mkdir(output)
  const iso = await medium('silent')
  const words = ['-i', iso, '-n', 'mini', ...described, ...small, '-o', output]
  const { child, outcome, shows } = start('create-hybrid-image', words)
  await shows(/Phase two/)
  child.kill('SIGINT')
  assert.is((await outcome).status, 130)
  assert.equal(await readdir(output), [])
  assertNothingLeft(before)
})
building('refuses what can be known to be wrong, before it boots anything', async () => {
  const page = join(dir, 'page.iso')
  await writeFile(page, '<html>404</html>')
  const bad = join(dir, 'bad.in')
  await writeFile(bad, '{ "name": "@NAM@" }')
  for (const [words, status, wrong] of [
    [['-i', page], 1, /it is no ISO 9660 image/],
    [['-i', join(dir, 'none.iso')], 1, /no such file/],
    [['-i', good, '-p', bad], 1, /it has @NAM@/],
    [['-i', good, '-o', '/proc/x'], 1, /Cannot write to "\/proc\/x"/],
    [['-i', good, '--qemu-binary', '/no/qemu'], 3, /Cannot find QEMU as "\/no\/qemu"/],
  ] as const) {
    const outcome = await run('create-hybrid-image', ['-n', 'mini', ...described, ...words])
    assert.is(outcome.status, status, outcome.stderr)
    assert.match(outcome.stderr, wrong)
    assert.not.match(outcome.stderr, /^Install/m)
  }
})
building.after(remove)
building.run()
