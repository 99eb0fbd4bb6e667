import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootCode, coreWithBlockList, writeBiosBoot } from '../../lib/disk/boot-sectors.ts'

/** A boot.img: recognisable bytes with the signature at its end. */
function bootImage(): Buffer {
  const image = Buffer.alloc(512, 0xee)
  image.writeUInt16LE(0xaa55, 510)
  return image
}

const code = suite('bootCode()')
code('points at core.img and takes the floppy check out', () => {
  const made = bootCode(bootImage(), 2048)
  assert.is(made.length, 440)
  assert.is(made.readBigUInt64LE(0x5c), 2048n)
  assert.is(made.readUInt16LE(0x66), 0x9090)
  assert.is(made[0x5b], 0xee)
})
code('refuses what is no boot sector', () => {
  assert.throws(() => bootCode(Buffer.alloc(512), 2048), /it is no boot sector/)
  assert.throws(() => bootCode(bootImage().subarray(1), 2048), /it is no boot sector/)
})
code.run()

const core = suite('coreWithBlockList()')
core('says where its own sectors are, padded to whole ones', () => {
  const made = coreWithBlockList(Buffer.alloc(28_023, 7), 2048)
  assert.is(made.length, 55 * 512)
  assert.is(made.readBigUInt64LE(0x1f4), 2049n)
  assert.is(made.readUInt16LE(0x1fc), 54)
  assert.is(made.readUInt16LE(0x1fe), 0x0820)
})
core('refuses a core of one sector', () => {
  assert.throws(() => coreWithBlockList(Buffer.alloc(512), 2048), /512 bytes is too small/)
})
core.run()

const writing = suite('writeBiosBoot()')
writing('keeps the partition table and everything else', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'boot-sectors-'))
  const [disk, boot, coreFile] = ['disk', 'boot.img', 'core.img'].map((name) => join(dir, name))
  await writeFile(disk!, Buffer.alloc(65536, 0x11))
  await writeFile(boot!, bootImage())
  await writeFile(coreFile!, Buffer.alloc(1024, 0x22))
  const place = { number: 1, offset: 8192, length: 4096, uuid: '' }
  await writeBiosBoot(disk!, place, { boot: boot!, core: coreFile! })
  const made = await readFile(disk!)
  assert.is(made[0], 0xee)
  assert.is(made[440], 0x11, 'the disk signature and the table stay')
  assert.is(made[8191], 0x11)
  assert.is(made[8192], 0x22)
  assert.is(made[8192 + 1024], 0x11)
  assert.is(made.length, 65536)

  await writeFile(coreFile!, Buffer.alloc(5000))
  try {
    await writeBiosBoot(disk!, place, { boot: boot!, core: coreFile! })
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /5120 bytes, the BIOS boot partition has 4096/)
  }
  await rm(dir, { recursive: true })
})
writing.run()
