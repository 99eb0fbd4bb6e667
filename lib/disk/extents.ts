/**
 * The parts of a raw disk that may hold data, so that a large empty disk costs nothing to read.
 *
 * The file system knows (SEEK_DATA, SEEK_HOLE), Node can't ask it, `qemu-img map` can. Where it is
 * not installed the whole file is one extent: right as well, only slower.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { explain } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { findTool, TOOLS } from '../host/tools.ts'
import type { Extent } from '../zfs/write.ts'

/** The data extents in the output of `qemu-img map --output=json`, neighbours joined. */
export function parseMap(json: string): Extent[] {
  const rows = JSON.parse(json) as { start: number; length: number; data: boolean; zero: boolean }[]
  const extents: Extent[] = []
  for (const { start, length, data, zero } of rows) {
    if (!data || zero) continue
    const last = extents.at(-1)
    if (last && last.offset + last.length === start) last.length += length
    else extents.push({ offset: start, length })
  }
  return extents
}

/** Extents of a raw file, ascending, in bytes. @throws {BuildError} when it can't be read */
export async function allocatedExtents(path: string): Promise<Extent[]> {
  if (findTool(TOOLS.qemuImg.name) || session.dryRun) {
    // Absolute, as qemu-img takes what stands before a colon in a name for a protocol.
    const { stdout } = await $`qemu-img map --output=json -f raw ${resolve(path)}`
    return session.dryRun ? [] : parseMap(stdout)
  }
  const { size } = await stat(path).catch((error: unknown) => {
    throw explain(`read "${path}"`, error)
  })
  return size === 0 ? [] : [{ offset: 0, length: size }]
}
