/** Disks of known size with a known amount of what the product packs: files of a Debian system. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../distros/debian.ts'
import { measure } from './measure.ts'
import { plainMmdebstrap } from './plain.ts'

export const MIB = 1024 ** 2
export const GIB = 1024 ** 3
const STRETCH = 16 * MIB
/** Where the first begins, as a partition does: a disk that begins with a tar's header is taken for a tar. */
const START = MIB

/** A tar of a Debian system's files, made by mmdebstrap in this directory. */
export async function debianFiles(dir: string): Promise<string> {
  const files = join(dir, 'files.tar')
  const { status } = await measure(`${plainMmdebstrap(debian.releases[1]!, files)} 2>/dev/null`)
  if (status !== 0) throw new Error(`mmdebstrap ended with status ${status}`)
  return files
}

/** A sparse disk of so many bytes with `data` bytes of the files, in stretches spread over its whole length. */
export async function makeDisk(
  path: string,
  files: string,
  bytes: number,
  data: number,
): Promise<void> {
  const file = await open(path, 'w')
  await file.truncate(bytes)
  const gap = Math.floor((bytes - START - data) / (data / STRETCH) / 4096) * 4096
  for (let written = 0; written < data;) {
    // Begun again when it ends: what comes twice is far beyond gzip's window of 32 KiB.
    for await (const piece of createReadStream(files) as AsyncIterable<Buffer>) {
      const wanted = piece.subarray(0, data - written)
      const stretch = Math.floor(written / STRETCH)
      await file.write(wanted, 0, wanted.length, START + written + stretch * gap)
      written += wanted.length
      if (written === data) break
    }
  }
  await file.close()
}
