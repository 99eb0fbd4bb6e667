/** The key is booted: its boot loader has to hand over exactly what was put on it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { bootProperty, makeUsbKey, type UsbKey } from '../../platform/usb-key.ts'
import { needPackages, workDir } from '../live.ts'
import { Random } from '../random.ts'
import { refusal } from '../refusal.ts'
import { bootDisk, makeKernel } from './multiboot.ts'

needPackages({
  syslinux: 'syslinux',
  '/usr/lib/syslinux/modules/bios/mboot.c32': 'syslinux-common',
  mcopy: 'mtools',
  'mkfs.vfat': 'dosfstools',
  sfdisk: 'fdisk',
})

const MIB = 1024 ** 2
const { dir, remove } = await workDir()
const unix = makeKernel(dir)
const random = new Random(7)
const ARCHIVE = Buffer.concat([
  Buffer.from(Array.from({ length: 3 * MIB + 17 }, () => random.below(256))),
  Buffer.alloc(20 * MIB),
])
const sha1 = createHash('sha1').update(ARCHIVE).digest('hex')
const archive = join(dir, 'archive')
await writeFile(archive, ARCHIVE)
await writeFile(`${archive}.gz`, gzipSync(ARCHIVE))

const kernel = '/platform/i86pc/kernel/amd64/unix'
const plain = '/platform/i86pc/amd64/boot_archive'
const key = (packed: boolean): UsbKey => ({
  bytes: 256 * MIB,
  kernel,
  archive: packed ? `${plain}.gz` : plain,
  files: new Map([
    [kernel.slice(1), unix],
    packed ? [`${plain.slice(1)}.gz`, `${archive}.gz`] : [plain.slice(1), archive],
    ['.smartos-retro', unix],
  ]),
  entries: [
    {
      name: 'live',
      title: 'SmartOS',
      properties: ['console=ttya', bootProperty('ttya-mode', '115200,8,n,1,-'), 'smartos=true'],
    },
    { name: 'kmdb', title: 'Debugger', flags: '-kd', properties: ['console=ttya'] },
  ],
  epochSeconds: 1_700_000_000,
})

const keys = suite('makeUsbKey()')
for (const packed of [false, true]) {
  keys(
    `boots the kernel with the archive as it is, on the key ${packed ? 'gzipped' : 'plain'}`,
    async () => {
      const disk = join(dir, `disk-${packed}.raw`)
      await makeUsbKey(key(packed), disk, dir)
      const { commandLine, modules } = await bootDisk(disk)
      assert.is(
        commandLine,
        `${kernel} -B console=ttya,ttya-mode="115200,8,n,1,-",smartos=true`,
        'with its path first, and quotes as they are',
      )
      assert.equal(
        modules.map(({ bytes, sha1 }) => ({ bytes, sha1 })),
        [{ bytes: ARCHIVE.length, sha1 }],
      )
      assert.match(modules[0]!.words, /boot_archive/)
    },
  )
}
keys('lets the operator choose at the serial console', async () => {
  const { commandLine } = await bootDisk(join(dir, 'disk-false.raw'), 'kmdb')
  assert.is(commandLine, `${kernel} -kd -B console=ttya`)
})
keys('is the same for the same files', async () => {
  const again = join(dir, 'again.raw')
  await makeUsbKey(key(false), again, dir)
  assert.ok((await readFile(again)).equals(await readFile(join(dir, 'disk-false.raw'))))
})
keys('has a file system without a fault, and one active partition', async () => {
  const disk = join(dir, 'disk-false.raw')
  const table = execFileSync('sfdisk', ['--dump', disk], { encoding: 'utf8' })
  assert.match(table, /start= +2048, .*type=c, bootable/)
  const partition = join(dir, 'partition')
  await writeFile(partition, (await readFile(disk)).subarray(MIB))
  execFileSync('fsck.vfat', ['-n', partition])
})
keys('says how large it would have to be', async () => {
  const small = { ...key(false), bytes: 20 * MIB }
  assert.match(
    await refusal(makeUsbKey(small, join(dir, 'small.raw'), dir)),
    /^Cannot put the platform on a disk of 20 MiB: it has 25 MiB$/,
  )
})
keys.after(remove)
keys.run()
