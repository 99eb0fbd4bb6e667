/**
 * Installations in machines of bhyve, on volumes of ZFS, in a zone with a build network: all by stand-ins of
 * SmartOS' programs, the guest alone is real (../smartos/bhyve.sh has QEMU run it).
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, open, readdir, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Scope } from '../../lib/cli/scope.ts'
import { makeBootCd } from '../../lib/media/boot-cd.ts'
import { writeIso } from '../../lib/media/iso9660.ts'
import { assertNothingLeft, command, leftovers, needPackages, run, workDir } from '../live.ts'
import { makeMiniInstaller, makeMiniIso } from '../mini-installer.ts'
import { inZone, type Zone } from '../smartos/zone.ts'

const ISOLINUX = {
  '/usr/lib/ISOLINUX/isolinux.bin': 'isolinux',
  '/usr/lib/syslinux/modules/bios/ldlinux.c32': 'syslinux-common',
}
needPackages({
  ...ISOLINUX,
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  cpio: 'cpio',
  'grub-mkrescue': 'grub-common',
  '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
  mformat: 'mtools',
  xorriso: 'xorriso',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const installer = await makeMiniInstaller(dir)
const DATASET = 'zones/3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f/data'

/** What zfs sends of a disk: our own stream of it, as that is what is compared at the end. */
const send = join(dir, 'send')
await writeFile(send, `#!/bin/sh\nexec ${command('convert-image')} --volblocksize "$3" "$1" "$2"\n`)
await chmod(send, 0o755)
const before = leftovers()

/** A zone that setup-build-zone has prepared for bhyve. */
const inBuildZone = (use: (zone: Zone) => Promise<void>) =>
  inZone(async (zone) => {
    for (const [name, program] of [
      ['bhyve', 'bhyve'],
      ['bhyvectl', 'bhyve'],
      ['zfs', 'volumes'],
    ] as const) {
      const path = fileURLToPath(new URL(`../smartos/${program}.sh`, import.meta.url))
      await symlink(path, join(zone.dir, 'bin', name))
    }
    for (const name of ['vmmctl', 'viona']) await writeFile(join(zone.dir, 'dev', name), '')
    await mkdir(join(zone.dir, 'state/volumes'))
    await mkdir(join(zone.dir, 'state/vmm'))
    await zone.write('state/data', `${DATASET}\n`)
    process.env['SMARTOS_SEND'] = send
    await use(zone)
  })

const isos = new Map<string, string>()
async function medium(what: string): Promise<string> {
  const iso = isos.get(what) ?? join(dir, `${what}.iso`)
  if (!isos.has(what)) await makeMiniIso(installer, what, iso)
  isos.set(what, iso)
  return iso
}

const words = async (what: string, output: string, ...more: string[]) => [
  ...['-i', await medium(what), '-n', 'mini', '-d', 'A test', '-u', 'https://example.com/test'],
  ...['--size', '64M', '--memory', '256M', '--cpus', '1', '--machine', 'bhyve'],
  ...['--disk', 'zvol', '-o', output, ...more],
]

/** Nothing is left of a build but what it is to leave. */
async function assertTidy(zone: Zone) {
  assert.equal(await readdir(join(zone.dir, 'state/vmm')), [], 'no machine')
  assert.equal(await readdir(join(zone.dir, 'state/volumes')), [], 'no volume')
  assert.equal(
    (await zone.links()).filter((name) => name.startsWith('build')),
    [],
    'no link',
  )
  assertNothingLeft(before)
}

const building = suite('bhyve and zvol')
building('installs on a volume, and makes its send stream the image', () =>
  inBuildZone(async (zone) => {
    const output = join(dir, 'bits')
    const { status, stdout, stderr, did } = await zone.run(
      'create-hybrid-image',
      await words('good', output, '--markers', 'PRE,POST', '--volblocksize', '16K', '--json'),
    )
    assert.is(status, 0, stderr)
    const { manifest, image } = JSON.parse(stdout) as { manifest: string; image: { path: string } }
    assert.match(stderr, /^Screen: VNC at 127\.0\.0\.1 port 59\d\d, password \S{8}$/m)
    assert.match(stderr, /^Phase two: partitions$/m)
    const inspected = await run('inspect-image', [manifest, '--json'])
    assert.is(inspected.status, 0)
    assert.match(inspected.stdout, /"volblocksize": 16384/)

    const raw = join(dir, 'back.raw')
    assert.is((await run('convert-image', [image.path, raw])).status, 0)
    const file = await open(raw)
    const bytes = Buffer.alloc(5 * 1024 ** 2)
    await file.read(bytes, 0, bytes.length, 0)
    await file.close()
    assert.ok(bytes.subarray(0, 4 * 1024 ** 2).every((byte) => byte === 'x'.charCodeAt(0)))
    assert.ok(bytes.subarray(4 * 1024 ** 2).every((byte) => byte === 0))

    const asked = did.filter((line) => /^(zfs|bhyve|bhyvectl|dladm .*build)/.test(line))
    assert.equal(
      asked.map((line) =>
        line
          .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'U')
          .split(' ')
          .slice(0, 2),
      ),
      [
        ['bhyve', '-h'],
        ['zfs', 'list'],
        ['zfs', 'create'],
        ['dladm', 'create-vnic'],
        ['bhyve', '-H'],
        ['zfs', 'snapshot'],
        ['zfs', 'get'],
        ['zfs', 'send'],
        ['bhyvectl', asked.find((line) => line.startsWith('bhyvectl'))!.split(' ')[1]!],
        ['dladm', 'delete-vnic'],
        ['zfs', 'destroy'],
      ],
    )
    await assertTidy(zone)
  }),
)
building('goes on from the disk when the guest reboots', () =>
  inBuildZone(async (zone) => {
    const output = join(dir, 'bits-again')
    const more = ['--markers', 'PRE,DISK', '--reboots', '1']
    const { status, stderr, did } = await zone.run(
      'create-hybrid-image',
      await words('again', output, ...more),
    )
    assert.is(status, 0, stderr)
    assert.match(stderr, /^The guest reboots: it goes on from its disk$/m)
    const machines = did.filter((line) => line.startsWith('bhyve -H'))
    assert.equal(
      machines.map((line) => /ahci-cd/.test(line)),
      [true, false],
      'the second time without the CD',
    )
    const [first, second] = machines.map((line) => line.split(' ').at(-1))
    assert.is.not(first, second)
    await assertTidy(zone)
  }),
)
building('takes a reboot for the end where none is announced', () =>
  inBuildZone(async (zone) => {
    const { status, stderr } = await zone.run(
      'create-hybrid-image',
      await words('again', join(dir, 'bits-fail'), '--markers', 'PRE,DISK'),
    )
    assert.is(status, 1)
    assert.match(stderr, /^Error: Installation failed: JOYENT_STATUS_DISK is missing/m)
    await assertTidy(zone)
  }),
)
for (const [end, says] of [
  ['3', 'bhyve ended it after a triple fault of the guest'],
  ['4', 'bhyve ended with an error: as the test wants it'],
] as const) {
  building(`fails when bhyve exits ${end}, and leaves nothing`, () =>
    inBuildZone(async (zone) => {
      process.env['BHYVE_END'] = end
      try {
        const { status, stderr } = await zone.run(
          'create-hybrid-image',
          await words('good', join(dir, 'bits-fail')),
        )
        assert.is(status, 1)
        assert.ok(stderr.includes(`Error: Installation failed: ${says}`), stderr)
      } finally {
        delete process.env['BHYVE_END']
      }
      await assertTidy(zone)
      assert.not.ok(existsSync(join(dir, 'bits-fail')))
    }),
  )
}
building('waits for a volume that bhyve has not let go of', () =>
  inBuildZone(async (zone) => {
    await zone.write('state/busy-volume', '2\n')
    const { status, stderr, did } = await zone.run(
      'create-hybrid-image',
      await words('good', join(dir, 'bits-busy')),
    )
    assert.is(status, 0, stderr)
    assert.is(did.filter((line) => line.startsWith('zfs destroy')).length, 3)
    await assertTidy(zone)
  }),
)
/** A medium that nothing boots by itself, with ISOLINUX as Debian's and Enterprise Linux' have it. */
async function isolinuxMedium(): Promise<string> {
  const tree = join(dir, 'isolinux-tree')
  await mkdir(join(tree, 'isolinux'), { recursive: true })
  for (const path of Object.keys(ISOLINUX)) {
    await copyFile(path, join(tree, 'isolinux', basename(path)))
  }
  const iso = join(dir, 'isolinux.iso')
  await writeIso(tree, iso, { label: 'MEDIUM', epochSeconds: 0 })
  return iso
}
for (const loader of ['GRUB', 'ISOLINUX']) {
  building(`boots a kernel by a CD with the medium’s own boot loader: ${loader}`, () =>
    inBuildZone(async (zone) => {
      const scope = new Scope()
      const from = loader === 'GRUB' ? await medium('silent') : await isolinuxMedium()
      const kernelWords = ['console=ttyS0', 'rdinit=/init', 'do=good', `from=${loader}`]
      const boot = { ...installer, arguments: kernelWords, medium: from }
      const iso = join(dir, `boot-${loader}.iso`)
      await copyFile(await makeBootCd(boot, scope), iso)
      await scope.close(false)
      isos.set(`boot-${loader}`, iso)
      const { status, stderr } = await zone.run(
        'create-hybrid-image',
        await words(`boot-${loader}`, join(dir, `bits-${loader}`), '--markers', 'PRE,POST'),
      )
      assert.is(status, 0, stderr)
      assert.match(stderr, new RegExp(`Command line: .*from=${loader}`))
    }),
  )
}
building('Ctrl-C in the middle leaves nothing', () =>
  inBuildZone(async (zone) => {
    const output = join(dir, 'bits-interrupted')
    const child = zone.start([command('create-hybrid-image'), ...(await words('silent', output))])
    let said = ''
    child.stderr!.on('data', (data: Buffer) => (said += data))
    while (!/Phase two/.test(said)) {
      if (child.exitCode !== null) throw new Error(said)
      await delay(50)
    }
    const over = new Promise((done) => child.on('exit', done))
    child.kill('SIGINT')
    assert.is(await over, 130)
    await assertTidy(zone)
  }),
)
building('says what is missing', () =>
  inBuildZone(async (zone) => {
    await zone.write('state/data', '\n')
    const none = await zone.run('create-hybrid-image', await words('good', join(dir, 'bits-none')))
    assert.is(none.status, 3)
    assert.match(none.stderr, /^Error: Cannot make volumes: \/data is no dataset of this zone/m)
    await assertTidy(zone)
  }),
)
building.after(remove)
building.run()
