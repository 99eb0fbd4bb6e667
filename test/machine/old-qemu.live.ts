/** Installations with a QEMU that knows no more than SmartOS' own; see ../smartos/old-qemu.sh. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertNothingLeft, leftovers, needPackages, run, workDir } from '../live.ts'
import { makeMiniInstaller, makeMiniIso } from '../mini-installer.ts'

needPackages({
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
const iso = join(dir, 'good.iso')
await makeMiniIso(installer, 'good', iso)
const before = leftovers()
const qemu = fileURLToPath(new URL('../smartos/old-qemu.sh', import.meta.url))

const words = (output: string, ...more: string[]) => [
  ...['-i', iso, '-n', 'mini', '-d', 'A test', '-u', 'https://example.com/test', '--size', '64M'],
  ...['--memory', '256M', '--cpus', '1', '--accel', 'tcg', '--markers', 'PRE,POST'],
  ...['--qemu-binary', qemu, '-o', join(dir, output), ...more],
]

const old = suite('an old QEMU')
old('installs from a CD that boots', async () => {
  const { status, stderr } = await run('create-hybrid-image', words('cd'))
  assert.is(status, 0, stderr)
  assert.match(stderr, /^Screen: VNC at 127\.0\.0\.1 port 59\d\d, password \S{8}$/m)
  assertNothingLeft(before)
})
old('boots a kernel without a boot loader, on older devices too', async () => {
  const kernel = ['-kernel', installer.kernel, '-initrd', installer.initrd]
  const boot = ['-append', 'console=ttyS0 rdinit=/init do=nothing of=the-operator']
  const { status, stderr } = await run(
    'create-hybrid-image',
    words('kernel', '--hardware', 'legacy', '--', ...kernel, ...boot),
  )
  assert.match(stderr, /Command line: console=ttyS0 rdinit=\/init do=nothing of=the-operator/)
  assert.is(status, 1, 'this installer knows no such disk')
  assertNothingLeft(before)
})
old('refuses UEFI, which it has not', async () => {
  const { status, stderr } = await run('create-hybrid-image', words('uefi', '--firmware', 'uefi'))
  assert.is(status, 3)
  assert.match(stderr, /^Error: Cannot boot from UEFI: .*old-qemu\.sh knows BIOS only$/m)
  assertNothingLeft(before)
})
old('is not taken for QEMU when it does not answer like it', async () => {
  const other = words('other').map((word) => (word === qemu ? '/bin/true' : word))
  const { status, stderr } = await run('create-hybrid-image', other)
  assert.is(status, 3)
  assert.match(
    stderr,
    /^Error: Cannot use \/bin\/true: asked for its options it says nothing \(status 0\)$/m,
  )
})
old.after(remove)
old.run()
