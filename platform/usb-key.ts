/**
 * The disk that a platform boots from, made like a SmartOS machine's USB key: an MBR with one FAT32
 * partition, SYSLINUX as the boot loader, and the kernel by the multiboot protocol. All of it is written
 * into a file at offsets; nothing is mounted.
 *
 * Sources: the SYSLINUX documentation (mboot.c32); SmartOS' documentation of booting by PXE.
 */
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../lib/cli/errors.ts'
import { $, act, type Door } from '../lib/cli/run.ts'
import { tool } from '../lib/host/tools.ts'

const SECTOR = 512
/** Where the partition begins: a MiB is left for boot loaders, as everywhere today. */
const FIRST_SECTOR = 2048
/** Boot code of an MBR ends where its partition table begins. */
const BOOT_CODE = 440

const MODULES = '/usr/lib/syslinux/modules/bios'
const MBR = '/usr/lib/syslinux/mbr/mbr.bin'
const LOADER = ['mboot.c32', 'libcom32.c32'] // ldlinux.c32 is brought by the installation

export const KEY_TOOLS = {
  sfdisk: tool('sfdisk', 'fdisk', 'writes the partition table'),
  mkfsVfat: tool('mkfs.vfat', 'dosfstools', 'makes the file system of the key', 'dosfstools'),
  mcopy: tool('mcopy', 'mtools', 'fills the file system of the key', 'mtools'),
  syslinux: tool('syslinux', 'syslinux', 'is the boot loader'),
  modules: tool(`${MODULES}/mboot.c32`, 'syslinux-common', 'boots kernels of illumos'),
}

/** The file by which the set-up finds its own key: SmartOS' own mark would make it a headnode's. */
export const MARK = '.smartos-retro'

export type BootEntry = {
  name: string
  title: string
  /** The kernel's own flags, before its properties. */
  flags?: string
  /** Boot properties: `console=ttya`. */
  properties: readonly string[]
}

export type UsbKey = {
  bytes: number
  /** Paths on the key to files of this machine. */
  files: ReadonlyMap<string, string>
  /** Paths on the key of what is booted; the archive may be gzipped. */
  kernel: string
  archive: string
  /** The first is booted when nobody chooses. */
  entries: readonly BootEntry[]
  /** Time of everything on it, in seconds since the epoch. */
  epochSeconds: number
}

/** A value with commas has to be quoted, or the kernel takes it for several. */
export const bootProperty = (name: string, value: string) =>
  value.includes(',') ? `${name}="${value}"` : `${name}=${value}`

/** Longest line that SYSLINUX reads, and that its kernels get. */
const LONGEST = 2000

/** SYSLINUX' configuration. @throws {BuildError} when an entry is longer than it can be */
export function syslinuxConfig({ entries, kernel, archive }: UsbKey): string {
  const lines = entries.map(({ name, title, flags, properties }) => {
    const words = [kernel, ...(flags ? [flags] : []), '-B', properties.join(',')]
    const append = `  append ${words.join(' ')} --- ${archive}`
    if (append.length > LONGEST) {
      throw new BuildError(`Cannot boot "${title}": its ${append.length} characters are too many`)
    }
    return [`label ${name}`, `  menu label ${title}`, '  kernel mboot.c32', append].join('\n')
  })
  const names = entries.map(({ name }) => name)
  return [
    'serial 0 115200',
    `say Boots ${names[0]} in 5 seconds; to choose, type a letter, then a name of: ${names.join(', ')}`,
    `default ${names[0]}`,
    'prompt 1',
    'timeout 50',
    ...lines,
    '',
  ].join('\n')
}

/** Directories of paths, parents first. */
function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set<string>()
  for (const path of paths) {
    const parts = path.split('/').slice(0, -1)
    parts.forEach((_, i) => folders.add(parts.slice(0, i + 1).join('/')))
  }
  return [...folders].sort()
}

/** @throws {BuildError} when the files do not fit */
async function checkRoom({ bytes, files }: UsbKey): Promise<void> {
  const sizes = await Promise.all([...files.values()].map(async (path) => (await stat(path)).size))
  const needed = sizes.reduce((sum, size) => sum + size, 0) + FIRST_SECTOR * SECTOR
  // Tables of the file system, and half-used clusters.
  const room = Math.floor(bytes * 0.98)
  if (needed <= room) return
  const mib = (size: number) => `${Math.ceil(size / 1024 ** 2)} MiB`
  throw new BuildError(
    `Cannot put the platform on a disk of ${mib(bytes)}: it has ${mib(needed)}`,
    {
      hint: `--size ${Math.ceil(needed / 0.98 / 1024 ** 2)}M or more`,
    },
  )
}

const OFFSET = FIRST_SECTOR * SECTOR

/** mtools' name of the partition. */
const placeOf = (path: string) => `${path}@@${OFFSET}`

const dated = (epochSeconds: number): Door =>
  $({ env: { SOURCE_DATE_EPOCH: String(epochSeconds), MTOOLS_SKIP_CHECK: '1' } })

/**
 * Make the disk.
 *
 * @param path of the new file
 * @param work directory for what lies between
 * @throws {BuildError} when the files do not fit, or a tool fails
 */
export async function makeUsbKey(key: UsbKey, path: string, work: string): Promise<void> {
  await checkRoom(key)
  await makeBootDisk(key, path)
  await fillKey(key, path, work)
}

/**
 * Make the disk of one that was made before, which is at `path`: its boot loader stays, what it boots is
 * replaced. Needs no boot loader on this machine.
 *
 * @throws {BuildError} when it is no such disk, the files do not fit, or a tool fails
 */
export async function renewUsbKey(key: UsbKey, path: string, work: string): Promise<void> {
  await checkRoom(key)
  const place = placeOf(path)
  const looked = await $({ readOnly: true, nothrow: true })`mdir -b -i ${place} ::/${MARK}`
  if (looked.exitCode !== 0) {
    throw new BuildError('Cannot use this boot disk: it is not of an image by build-retro', {
      hint: `It has no ${MARK} on its first partition`,
    })
  }
  await $`mdeltree -i ${place} ::/platform ::/${MARK} ::/syslinux/syslinux.cfg`
  await $({ nothrow: true })`mdel -i ${place} ::/custom.tgz`
  await fillKey(key, path, work)
}

/** Partition, file system and boot loader, and nothing to boot. */
async function makeBootDisk({ bytes, epochSeconds }: UsbKey, path: string): Promise<void> {
  const table = `label: dos\nlabel-id: 0x48594252\nstart=${FIRST_SECTOR}, type=c, bootable\n`
  await act(`make ${path} of ${bytes} bytes`, async () => {
    const file = await open(path, 'wx')
    await file.truncate(bytes)
    await file.close()
  })
  await $({ input: table })`sfdisk --quiet --no-reread --no-tell-kernel ${path}`
  const run = dated(epochSeconds)
  const kib = Math.floor((bytes - OFFSET) / 1024)
  await run`mkfs.vfat --invariant -F 32 -n RETRO --offset ${FIRST_SECTOR} ${path} ${kib}`
  await run`mmd -i ${placeOf(path)} ::/syslinux`
  // Its second stage lies in blocks that must not move: before everything else, in one piece.
  await run`syslinux --install --directory syslinux -t ${OFFSET} ${path}`
  for (const name of LOADER) {
    await run`mcopy -i ${placeOf(path)} ${join(MODULES, name)} ::/syslinux/${name}`
  }
  await act(`write the boot code to ${path}`, () => writeBootCode(path))
}

async function fillKey(key: UsbKey, path: string, work: string): Promise<void> {
  const run = dated(key.epochSeconds)
  const config = join(work, 'syslinux.cfg')
  await act(`write ${config}`, () => writeFile(config, syslinuxConfig(key)))
  const folders = foldersOf([...key.files.keys()]).map((folder) => `::/${folder}`)
  if (folders.length > 0) await run`mmd -i ${placeOf(path)} ${folders}`
  for (const [to, from] of [['syslinux/syslinux.cfg', config] as const, ...key.files]) {
    await run`mcopy -i ${placeOf(path)} ${from} ::/${to}`
  }
}

async function writeBootCode(path: string): Promise<void> {
  const code = (await readFile(MBR)).subarray(0, BOOT_CODE)
  const file = await open(path, 'r+')
  try {
    await file.write(code, 0, code.length, 0)
  } finally {
    await file.close()
  }
}

/** A directory for files that are made up. */
export async function writeFiles(
  directory: string,
  texts: Readonly<Record<string, string>>,
): Promise<Map<string, string>> {
  await mkdir(directory, { recursive: true })
  const made = new Map<string, string>()
  for (const [name, text] of Object.entries(texts)) {
    const path = join(directory, name.replaceAll('/', '_'))
    await writeFile(path, text)
    made.set(name, path)
  }
  return made
}
