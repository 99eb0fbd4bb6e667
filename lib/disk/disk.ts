/**
 * The disk that a build fills, a sparse file or a volume of ZFS: made, and at the end read as the send
 * stream of its snapshot. What it is made of is nobody else's business.
 */
import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OptionTable } from '../cli/options.ts'
import { UsageError } from '../cli/errors.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { zvolStream } from '../zfs/write.ts'
import { allocatedExtents } from './extents.ts'
import { findDataset, makeZvol, sendZvol, snapshotZvol } from './zvol.ts'

export const DISKS = ['file', 'zvol'] as const
export type DiskKind = (typeof DISKS)[number]

/** SmartOS can make a volume; elsewhere there is no ZFS, or one whose streams SmartOS does not read. */
export const defaultDisk = (platform: string = process.platform): DiskKind =>
  platform === 'sunos' ? 'zvol' : 'file'

/** What ZFS allows. @throws {UsageError} otherwise */
export function parseBlockSize(text: string): number {
  const [, number, unit] = /^(\d{1,6})([Kk]?)$/.exec(text) ?? []
  const bytes = Number(number) * (unit ? 1024 : 1)
  if (bytes >= 512 && bytes <= 131072 && Number.isInteger(Math.log2(bytes))) return bytes
  throw new UsageError(
    `Cannot use blocks of "${text}": a power of two from 512 to 128K is needed, as in 8K`,
  )
}

export const diskOptions = {
  disk: {
    arg: 'NAME',
    choices: DISKS,
    help: 'build in a sparse file, or in a volume of ZFS (default: zvol on SmartOS, file elsewhere)',
  },
  volblocksize: {
    arg: 'SIZE',
    default: '8K',
    parse: parseBlockSize,
    help: "the image's blocks as a volume; SmartOS' own have 8K",
  },
} as const satisfies OptionTable

export type DiskWishes = {
  kind: DiskKind
  bytes: number
  /** Of the volume that the image is, in bytes. */
  blockBytes: number
  /** Where a volume is made: the dataset, or the directory that it is mounted at. */
  parent: string
}

/** Is it a file of ours, which may be copied and replaced? */
export const isPlainFile = ({ kind }: Pick<DiskWishes, 'kind'>): boolean => kind === 'file'

export type DiskSnapshot = {
  guid: bigint
  /** What is read, for messages. */
  says: string
  /** The send stream; hears the part that is done, from 0 to 1. */
  stream(onProgress: (fraction: number) => void): AsyncIterable<Buffer>
}

export type Disk = {
  /** What a machine writes to, at the offsets of a disk. */
  path: string
  bytes: number
  /** Is there nothing but zeros? */
  isEmpty(): Promise<boolean>
  /**
   * The disk as it is now. A file's snapshot is what is asked for, ZFS decides for itself.
   *
   * @param wanted name: `pool/volume@snapshot`
   */
  snapshot(wanted: { name: string; guid: bigint; createdAtSeconds: number }): Promise<DiskSnapshot>
}

/**
 * Make an empty disk, gone when the command ends.
 *
 * @param directory where a file lies
 * @throws {BuildError} when it can't be made
 */
export async function makeDisk(wishes: DiskWishes, directory: string, scope: Scope): Promise<Disk> {
  return wishes.kind === 'file' ? makeFile(wishes, directory) : makeVolume(wishes, scope)
}

async function makeFile({ bytes, blockBytes }: DiskWishes, directory: string): Promise<Disk> {
  const path = join(directory, 'disk.raw')
  await act(`make ${path} of ${bytes} bytes`, async () => {
    await writeFile(path, '', { flag: 'wx' })
    await truncate(path, bytes)
  })
  return {
    path,
    bytes,
    isEmpty: async () => (await allocatedExtents(path)).length === 0,
    async snapshot(wanted) {
      const extents = await allocatedExtents(path)
      const source = { path, bytes, extents, volblocksize: blockBytes, ...wanted }
      return {
        guid: wanted.guid,
        says: `the send stream of ${path}`,
        stream: (onProgress) => zvolStream({ ...source, onProgress }),
      }
    },
  }
}

async function makeVolume(wishes: DiskWishes, scope: Scope): Promise<Disk> {
  const { bytes, blockBytes } = wishes
  const parent = await findDataset(wishes.parent)
  const zvol = await makeZvol(parent, { bytes, blockSize: blockBytes }, scope)
  return {
    path: zvol.device,
    bytes,
    isEmpty: () => beginsWithZeros(zvol.device),
    async snapshot() {
      const { name, guid, referenced } = await snapshotZvol(zvol)
      return {
        guid,
        says: `what zfs send says of ${name}`,
        stream: (onProgress) => sendZvol(name, (sent) => onProgress(sent / referenced)),
      }
    },
  }
}

/** A table of partitions, or a boot sector, is what every system begins with. */
const BEGINNING = 1 << 20

async function beginsWithZeros(device: string): Promise<boolean> {
  const bytes = Buffer.alloc(BEGINNING)
  const file = await open(device)
  try {
    await file.read(bytes, 0, bytes.length, 0)
  } finally {
    await file.close()
  }
  return bytes.every((byte) => byte === 0)
}
