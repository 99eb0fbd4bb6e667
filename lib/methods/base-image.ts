/**
 * The base of method cloud-image, in whatever form its vendor ships a disk: qcow2 or raw as they are; packed by
 * gzip or xz; or a tar, packed or not, that holds one disk. Told by content, as names say what people like.
 */
import { open, rm } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { $, act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { checkStandsAlone } from '../media/qcow2-header.ts'

/** What takes a packed file apart; undefined: nothing has to. */
const UNPACKERS: readonly [magic: Buffer, words: readonly string[]][] = [
  [Buffer.from([0x1f, 0x8b]), ['gzip', '-dc']],
  [Buffer.from('\xfd7zXZ\0', 'latin1'), ['xz', '-dc']],
]
const QCOW2 = Buffer.from('QFI\xfb', 'latin1')
/** Source: POSIX, "ustar Interchange Format". */
const TAR_MAGIC = { at: 257, text: 'ustar' }

const DISK = /\.(raw|img|qcow2)$/

/** @returns a disk that qemu-img reads: the base itself, or what was in it, at `unpacked` */
export async function openBase(base: string, unpacked: string): Promise<string> {
  if (session.dryRun) return base
  const head = await firstBytes(base)
  const packer = UNPACKERS.find(([magic]) => begins(head, magic))?.[1]
  const isTar = packer ? await holdsTar(base, packer) : tarBegins(head)
  if (!isTar && !packer) return base
  const [what, words] = isTar ? await diskInTar(base) : ['it', [...packer!, base]]
  await act(`unpack ${what} of ${base} to ${unpacked}`, async () => {
    // Zeros become holes: a disk is mostly empty.
    const dd = ['dd', `of=${unpacked}`, 'bs=1M', 'iflag=fullblock', 'conv=sparse', 'status=none']
    await pipe(words, dd)
  })
  return unpacked
}

/** Copy the image onto the disk, which is larger as a rule. @throws {BuildError} when it does not fit */
export async function copyBase(base: string, disk: string, bytes: number): Promise<void> {
  const unpacked = `${disk}.base`
  const image = await openBase(base, unpacked)
  if (!session.dryRun) await checkStandsAlone(image)
  const format = session.dryRun ? [] : ['-f', await formatOf(image)]
  const words = ['qemu-img', 'info', ...format, '--output=json', image]
  const info = await $({ readOnly: true, nothrow: true })`${words}`
  if (!session.dryRun || info.exitCode === 0) {
    if (info.exitCode !== 0) {
      throw new BuildError(`Cannot use base image "${base}": ${info.stderr.trim()}`)
    }
    const { 'virtual-size': size } = JSON.parse(info.stdout) as { 'virtual-size': number }
    if (size > bytes) {
      const mib = Math.ceil(size / 1024 ** 2)
      throw new BuildError(`Cannot put "${base}" on a disk of ${bytes} bytes: it has ${size}`, {
        hint: `--size ${mib}M or more`,
      })
    }
  }
  await $`qemu-img convert -n ${format} -O raw ${image} ${disk}`
  if (image !== base) await act(`remove ${image}`, () => rm(image))
}

/** What qemu-img would find out by itself, with a warning where that is raw. */
const formatOf = async (image: string) => (begins(await firstBytes(image), QCOW2) ? 'qcow2' : 'raw')

/** That it is there, and something. @throws {BuildError} otherwise */
export async function checkBase(path: string): Promise<void> {
  await firstBytes(path)
}

const begins = (head: Buffer, magic: Buffer) => head.subarray(0, magic.length).equals(magic)
const tarBegins = (head: Buffer) =>
  head.toString('latin1', TAR_MAGIC.at, TAR_MAGIC.at + TAR_MAGIC.text.length) === TAR_MAGIC.text

async function firstBytes(path: string): Promise<Buffer> {
  try {
    const file = await open(path)
    try {
      const head = Buffer.alloc(512)
      const { bytesRead } = await file.read(head, 0, head.length, 0)
      if (bytesRead === 0) throw new BuildError(`Cannot use base image "${path}": it is empty`)
      return head.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`use base image "${path}"`, error)
  }
}

/** Whether what is packed begins as a tar does; a packer that is cut off by us complains. */
async function holdsTar(base: string, packer: readonly string[]): Promise<boolean> {
  const end = TAR_MAGIC.at + TAR_MAGIC.text.length
  const script = `"$@" 2>/dev/null | head -c ${end} | tail -c ${TAR_MAGIC.text.length}`
  const { stdout } = await $`sh -c ${script} sh ${[...packer, base]}`
  return stdout === TAR_MAGIC.text
}

/** The one disk that a tar holds, and the command that writes it out. */
async function diskInTar(base: string): Promise<[name: string, words: string[]]> {
  const { stdout } = await $`tar --list --verbose --file ${base}`
  const files = stdout
    .split('\n')
    .flatMap((line) => /^-\S+ +\S+ +\d+ \S+ \S+ (.+)$/.exec(line)?.[1] ?? [])
  const disks = files.filter((name) => DISK.test(name))
  const [name, ...others] = disks.length > 0 ? disks : files.length === 1 ? files : []
  if (name === undefined) {
    throw new BuildError(
      `Cannot use base image "${base}": it is a tar of ${files.length} files, none of them a disk`,
      {
        hint: 'The files of a system are no base: a tar has to hold one disk, as disk.raw',
      },
    )
  }
  if (others.length > 0) {
    throw new BuildError(
      `Cannot use base image "${base}": it holds ${disks.length} disks, ${disks.slice(0, 4).join(', ')}`,
      {
        hint: 'Take the right one out of it, and name that',
      },
    )
  }
  return [name, ['tar', '--extract', '--to-stdout', '--file', base, '--', name]]
}

/** One program's output to another; either may fail. */
async function pipe(from: readonly string[], to: readonly string[]): Promise<void> {
  const script = 'set -o pipefail; n=$1; shift; "${@:1:n}" | "${@:n+1}"'
  await $`bash -c ${script} bash ${from.length} ${[...from, ...to]}`
}
