/**
 * Where the root file system of a disk is: on the largest partition that holds one, on the logical volume
 * there, or on the whole disk. Known by what is written at its place, not by what a table says it is.
 *
 * Offsets are bytes. Source: Linux, fs/ext4/ext4.h and fs/xfs/libxfs/xfs_format.h, magic numbers; LVM2 as in lvm.ts.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { SECTOR } from './layout.ts'
import { readVolumes } from './lvm-read.ts'

/** Where in the disk a root file system begins, and what is on it. */
export type RootPlace = { offset: number; kind: 'ext' | 'xfs' }

type Part = { offset: number; length: number }

/** Magic number of the ext file systems, in their superblock. */
const EXT = { at: 1024 + 56, magic: Buffer.from([0x53, 0xef]) }
const XFS = { at: 0, magic: Buffer.from('XFSB') }

/** The partitions of a disk, largest first; without a table the disk itself. */
async function partsOf(disk: string): Promise<Part[]> {
  const { stdout, exitCode } = await $({ nothrow: true })`sfdisk --json ${disk}`
  if (exitCode !== 0) return [{ offset: 0, length: Number.MAX_SAFE_INTEGER }]
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { sectorsize?: number; partitions?: { start: number; size: number }[] }
  }
  const { sectorsize = SECTOR, partitions = [] } = partitiontable
  return partitions
    .map(({ start, size }) => ({ offset: start * sectorsize, length: size * sectorsize }))
    .sort((a, b) => b.length - a.length)
}

async function kindAt(file: FileHandle, offset: number): Promise<RootPlace['kind'] | undefined> {
  const has = async ({ at, magic }: { at: number; magic: Buffer }) => {
    const found = Buffer.alloc(magic.length)
    await file.read(found, 0, found.length, offset + at)
    return found.equals(magic)
  }
  if (await has(EXT)) return 'ext'
  return (await has(XFS)) ? 'xfs' : undefined
}

/**
 * Find it.
 *
 * @throws {BuildError} when the disk has none that is known, or can't be read
 */
export async function findRoot(disk: string): Promise<RootPlace> {
  const parts = await partsOf(disk)
  let file: FileHandle | undefined
  try {
    file = await open(disk, 'r')
    for (const { offset } of parts) {
      const volumes = await readVolumes(file, offset)
      for (const place of volumes ?? [offset]) {
        const kind = await kindAt(file, place)
        if (kind) return { offset: place, kind }
      }
    }
  } catch (error) {
    throw explain(`read "${disk}"`, error)
  } finally {
    await file?.close()
  }
  throw new BuildError(
    `Cannot find a root file system in "${disk}": none of its ${parts.length} partitions holds ext4 or XFS`,
    { hint: 'It may be encrypted, or spread over several volumes' },
  )
}
