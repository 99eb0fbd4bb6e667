/**
 * GRUB's boot sectors for BIOS, written into a disk file without grub-install, which wants devices.
 *
 * boot.img is 512 bytes for sector 0, where the first 440 bytes are code and the rest belongs to
 * the partition table. It loads the first sector of core.img (diskboot), which loads the rest by a
 * list of blocks. Offsets are those of GRUB 2.00 to 2.12: grub-core/boot/i386/pc/boot.S and
 * diskboot.S, include/grub/offsets.h.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { BuildError } from '../cli/errors.ts'
import type { Partition } from './layout.ts'
import { SECTOR } from './layout.ts'

/** Code in the master boot record; behind it are the disk signature and the protective table. */
const MBR_CODE = 440
const BOOT_KERNEL_SECTOR = 0x5c // u64: where core.img begins
const BOOT_DRIVE_CHECK = 0x66 // a jump that floppies need; two no-operations for hard disks
const BLOCK_LIST = 0x1f4 // in diskboot: u64 start, u16 sectors, u16 segment
const KERNEL_SEGMENT = 0x0820

/** The code of sector 0. */
export function bootCode(bootImage: Buffer, coreSector: number): Buffer {
  if (bootImage.length !== SECTOR || bootImage.readUInt16LE(510) !== 0xaa55) {
    throw new BuildError(`Cannot use GRUB's boot.img: it is no boot sector`)
  }
  const code = Buffer.from(bootImage.subarray(0, MBR_CODE))
  code.writeBigUInt64LE(BigInt(coreSector), BOOT_KERNEL_SECTOR)
  code.writeUInt16LE(0x9090, BOOT_DRIVE_CHECK)
  return code
}

/** core.img with the list of its own blocks, for a place at `coreSector`. */
export function coreWithBlockList(core: Buffer, coreSector: number): Buffer {
  const sectors = Math.ceil(core.length / SECTOR)
  if (sectors < 2)
    throw new BuildError(`Cannot use GRUB's core.img: ${core.length} bytes is too small`)
  const placed = Buffer.alloc(sectors * SECTOR)
  core.copy(placed)
  placed.writeBigUInt64LE(BigInt(coreSector + 1), BLOCK_LIST)
  placed.writeUInt16LE(sectors - 1, BLOCK_LIST + 8)
  placed.writeUInt16LE(KERNEL_SEGMENT, BLOCK_LIST + 10)
  return placed
}

/**
 * Make a disk boot from BIOS: code into sector 0, core.img into the BIOS boot partition.
 *
 * @throws {BuildError} when core.img does not fit the partition, or a file is not what it should be
 */
export async function writeBiosBoot(
  disk: string,
  partition: Partition,
  images: { boot: string; core: string },
): Promise<void> {
  const sector = partition.offset / SECTOR
  const core = coreWithBlockList(await readFile(images.core), sector)
  if (core.length > partition.length) {
    throw new BuildError(
      `Cannot place GRUB's core.img: ${core.length} bytes, the BIOS boot partition has ${partition.length}`,
    )
  }
  const file: FileHandle = await open(disk, 'r+')
  try {
    await file.write(bootCode(await readFile(images.boot), sector), 0, MBR_CODE, 0)
    await file.write(core, 0, core.length, partition.offset)
  } finally {
    await file.close()
  }
}
