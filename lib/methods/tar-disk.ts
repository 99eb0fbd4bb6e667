/**
 * A root tar made inside a machine, by the new system itself: nobody else can read its file system without
 * mounting it. It is written straight onto a second disk, which the guest knows by its last sector, and which
 * becomes the tar when it is cut to the length that the guest notes there.
 *
 * The last sector (512 bytes) is a line of text: LABEL alone while the disk is empty, LABEL and ` bytes=N`
 * when it is not. It is written last, so that half a tar is none. The first sectors are zeros until then:
 * installers take the disk for an empty one, and are told to use another.
 */
import { open, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { shellCommand } from '../cli/shell-words.ts'
import { makeDisk } from '../disk/disk.ts'
import type { Build, Filled } from './method.ts'
import { rootTarWords } from './root-tar.ts'

const SECTOR = 512
const LABEL = 'hybrid-images root tar'

/** An empty disk for the tar. */
export async function makeTarDisk(path: string, bytes: number): Promise<void> {
  await act(`make ${path} of ${bytes} bytes, for the root tar`, async () => {
    const file = await open(path, 'wx')
    try {
      await file.truncate(bytes)
      await file.write(Buffer.alloc(SECTOR, `${LABEL}\n`.padEnd(SECTOR)), 0, SECTOR, bytes - SECTOR)
    } finally {
      await file.close()
    }
  })
}

/**
 * Make the disk the tar that it holds.
 *
 * @throws {BuildError} when the guest has written none
 */
export async function cutToTar(path: string): Promise<void> {
  await act(`cut ${path} to the tar that it holds`, async () => {
    const { size } = await stat(path)
    const last = Buffer.alloc(SECTOR)
    const file = await open(path)
    try {
      await file.read(last, 0, SECTOR, size - SECTOR)
    } finally {
      await file.close()
    }
    const bytes = Number(/ bytes=(\d+)$/m.exec(last.toString('latin1').replaceAll('\0', ''))?.[1])
    if (!(bytes > 0 && bytes <= size - SECTOR)) {
      throw new BuildError('Cannot take the root tar: the new system has written none', {
        hint: 'See the end of the serial log',
      })
    }
    await truncate(path, bytes)
  })
}

/**
 * The guest's part, for the end of its set-up. /boot is a file system of its own in some distros; what else is
 * mounted belongs to the machine. A shell without pipefail has the statuses said on another descriptor.
 */
export function tarDiskLines(epochSeconds: number): string[] {
  const words = rootTarWords('/mnt', '-', epochSeconds, { mounts: true })
  // Tar before 1.29 (Enterprise Linux 7) knows nothing of these.
  const newer = (word: string) => /^--(sort|mtime|clamp-mtime)/.test(word)
  const command = (words: string[]) => shellCommand({ words })
  return [
    '# The root tar, onto the disk whose last sector has its name.',
    'tar_disk=',
    'for place in /sys/block/[sv]d*; do',
    '  sectors=$(cat "$place/size")',
    '  [ "$sectors" -gt 0 ] || continue',
    '  last=$((sectors - 1))',
    `  if dd if="/dev/\${place##*/}" bs=${SECTOR} skip=$last count=1 2>/dev/null | grep -q '^${LABEL}'; then`,
    '    tar_disk=/dev/${place##*/}; break',
    '  fi',
    'done',
    '[ -n "$tar_disk" ] || { echo "error: there is no disk for the root tar"; exit 1; }',
    'mount --bind / /mnt',
    'boot=$(findmnt -n -o TARGET /boot || true)',
    'if [ "$boot" = /boot ]; then mount --bind /boot /mnt/boot; fi',
    'pack() {',
    '  if tar --help | grep -q -e --clamp-mtime; then',
    `    ${command(words)}`,
    '  else',
    `    ${command(words.filter((word) => !newer(word)))}`,
    '  fi',
    '}',
    'said=$(',
    '  exec 3>&1',
    '  { status=0; pack || status=$?; echo "tar: $status" >&3; } |',
    '    LC_ALL=C dd of="$tar_disk" bs=1M iflag=fullblock conv=notrunc,fsync 2>&3',
    ') || true',
    'if [ "$boot" = /boot ]; then umount /mnt/boot; fi',
    'umount /mnt',
    'bytes=$(echo "$said" | sed -n \'s/^\\([0-9]*\\) bytes.*/\\1/p\')',
    '# 1: a file was written to meanwhile, by a system that runs.',
    'case $said in *"tar: "[01]*) ;; *) echo "error: tar can\'t pack the system: $said"; exit 1 ;; esac',
    '[ -n "$bytes" ] || { echo "error: the root tar can\'t be written: $said"; exit 1; }',
    `printf '%s bytes=%s\\n' '${LABEL}' "$bytes" |`,
    `  dd of="$tar_disk" bs=${SECTOR} seek=$last conv=sync,notrunc,fsync 2>/dev/null`,
    'echo "root tar: $bytes bytes"',
  ]
}

/** A file takes more in a tar than on the disk: it has headers there, one more for attributes. */
const ROOM = 2

/**
 * Have the system filled in that machine, and packed there.
 *
 * @param fill to be called with the paths of both disks
 */
export async function packInMachine(
  build: Build,
  fill: (disk: string, tar: string) => Promise<Filled>,
): Promise<Filled & { tar: string }> {
  const { recipe, work, scope } = build
  const disk = await makeDisk(recipe.disk, work, scope)
  const tar = join(work, 'image.tar')
  await makeTarDisk(tar, recipe.disk.bytes * ROOM)
  const filled = await fill(disk.path, tar)
  await cutToTar(tar)
  if (!session.keep) await act(`remove ${disk.path}`, () => rm(disk.path))
  return { ...filled, tar }
}
