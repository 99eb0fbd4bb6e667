/** Edits that are done whole or not at all, and say what is missing when there is no space. */
import { BuildError } from '../../lib/cli/errors.ts'
import { fragmentsFor } from './content.ts'
import { totals, type Volume } from './group.ts'
import type { Inode } from './inode.ts'
import { NoSpace } from './space.ts'

/** Space in whole blocks, and in fragments besides. */
type Need = { blocks: number; tail: number }

function missing(volume: Volume, need: Need): string {
  const s = volume.superblock
  const free = totals(volume)
  const perBlock = s.fragmentsPerBlock
  const wanted = need.blocks * perBlock + need.tail
  const have = free.blocks * perBlock + free.fragments
  const short = Math.max(wanted - have, (need.blocks - free.blocks) * perBlock)
  const bytes = (fragments: number) => fragments * s.fragmentBytes
  if (short <= 0) {
    return `${s.blockBytes} bytes are missing: the ${bytes(have)} that are free are in pieces that are too small`
  }
  const whole = bytes(free.blocks * perBlock)
  return `${bytes(short)} bytes are missing (${bytes(wanted)} needed, ${bytes(have)} free, ${whole} of them in whole blocks)`
}

/**
 * Run an edit; when it fails the image is as it was before it.
 *
 * @param bytes content that it takes space for
 * @param freed inode whose space it gives back before
 * @throws {BuildError} when there is no space
 */
export function atomically<T>(
  volume: Volume,
  action: string,
  { bytes, freed }: { bytes: number; freed?: Inode | undefined },
  work: () => T,
): T {
  try {
    return volume.pages.transaction(work)
  } catch (error) {
    if (!(error instanceof NoSpace)) throw error
    const { fragmentsPerBlock, sectorsPerFragment } = volume.superblock
    const { blocks, tail } = fragmentsFor(volume, bytes)
    const back = freed ? freed.sectors / sectorsPerFragment : 0
    const need = {
      blocks: blocks - Math.floor(back / fragmentsPerBlock),
      tail: tail - (back % fragmentsPerBlock),
    }
    const what =
      error.kind === 'inodes' ? '1 inode is missing, all are used' : missing(volume, need)
    throw new BuildError(`Cannot ${action} in the image: ${what}`, {
      hint: 'Remove something, or leave this edit out',
      cause: error,
    })
  }
}
