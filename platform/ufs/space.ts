/**
 * Allocation of blocks and fragments.
 *
 * A file's blocks follow one another where they can and stay in its cylinder group; a tail takes the
 * smallest free run that holds it, and breaks up a whole block only when no run does. The reserve
 * (minfree) is for users other than root and not kept here. Addresses and lengths are in fragments.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { allFree, blockBits, ONES, RUNS, setBlockBits } from './free-map.ts'
import {
  addCounts,
  BLOCK_ROTOR_AT,
  countsOf,
  FRAGMENT_ROTOR_AT,
  type Group,
  groupAt,
  rotation,
  RUNS_AT,
  type Volume,
} from './group.ts'
import { groupOf } from './layout.ts'

/** Something ran out; the operation that needed it says how much is missing. */
export class NoSpace extends Error {
  readonly kind: 'bytes' | 'inodes'

  constructor(kind: 'bytes' | 'inodes') {
    super(`No free ${kind}`)
    this.kind = kind
  }
}

/** Give a block of a group other bits in the free map, with all that counts them. */
function changeBlock(volume: Volume, group: Group, block: number, bits: number): void {
  const s = volume.superblock
  const perBlock = s.fragmentsPerBlock
  const header = volume.pages.change(group.page)
  const before = blockBits(header, group.freeMapAt, block, perBlock)
  setBlockBits(header, group.freeMapAt, block, perBlock, bits)
  const addInt32 = (at: number, amount: number) =>
    header.writeInt32LE(header.readInt32LE(at) + amount, at)

  const whole = allFree(perBlock)
  let blocks = 0
  let fragments = 0
  for (const [value, sign] of [
    [before, -1],
    [bits, 1],
  ] as const) {
    if (value === whole) {
      const { cylinder, position } = rotation(s, block)
      const at = group.positionsAt + 2 * (cylinder * s.rotationalPositions + position)
      addInt32(group.totalsAt + 4 * cylinder, sign)
      header.writeInt16LE(header.readInt16LE(at) + sign, at)
      blocks += sign
    } else {
      for (const [, length] of RUNS[value]!) addInt32(RUNS_AT + 4 * length, sign)
      fragments += sign * ONES[value]!
    }
  }
  addCounts(volume, group, { blocks, fragments })
}

const bitsOf = (first: number, count: number) => allFree(count) << first

/** Mark fragments of one block used. They have to be free. */
function take(volume: Volume, group: Group, index: number, count: number): number {
  const perBlock = volume.superblock.fragmentsPerBlock
  const block = Math.floor(index / perBlock)
  const header = volume.pages.change(group.page)
  const before = blockBits(header, group.freeMapAt, block, perBlock)
  header.writeInt32LE(index, count === perBlock ? BLOCK_ROTOR_AT : FRAGMENT_ROTOR_AT)
  changeBlock(volume, group, block, before & ~bitsOf(index % perBlock, count))
  return group.base + index
}

/** Give fragments of one block back. @throws {BuildError} when one of them is free */
export function release(volume: Volume, address: number, count: number): void {
  const s = volume.superblock
  const perBlock = s.fragmentsPerBlock
  const group = groupAt(volume, groupOf(s, address))
  const index = address - group.base
  const block = Math.floor(index / perBlock)
  const before = blockBits(volume.pages.page(group.page), group.freeMapAt, block, perBlock)
  const bits = bitsOf(index % perBlock, count)
  if ((before & bits) !== 0) {
    throw new BuildError(
      `Cannot edit "${volume.pages.path}": fragment ${address} is in use and marked free`,
    )
  }
  changeBlock(volume, group, block, before | bits)
}

/** Whether a group has these fragments of one block free. */
function isFree(volume: Volume, group: Group, index: number, count: number): boolean {
  const perBlock = volume.superblock.fragmentsPerBlock
  const first = index % perBlock
  if (index < 0 || index + count > group.fragments || first + count > perBlock) return false
  const header = volume.pages.page(group.page)
  const bits = blockBits(header, group.freeMapAt, Math.floor(index / perBlock), perBlock)
  const wanted = bitsOf(first, count)
  return (bits & wanted) === wanted
}

/** The first block from `from` on, going round, that `fits`. */
function findBlock(
  volume: Volume,
  group: Group,
  from: number,
  fits: (bits: number) => boolean,
): number | undefined {
  const perBlock = volume.superblock.fragmentsPerBlock
  const blocks = Math.ceil(group.fragments / perBlock)
  const header = volume.pages.page(group.page)
  const start = Math.min(Math.max(Math.floor(from / perBlock), 0), blocks - 1)
  for (let i = 0; i < blocks; i++) {
    const block = (start + i) % blocks
    if (fits(blockBits(header, group.freeMapAt, block, perBlock))) return block
  }
  return undefined
}

/** Place of the shortest free run of `count` or more in a group, from the counts of runs. */
function findRun(volume: Volume, group: Group, count: number): number | undefined {
  const perBlock = volume.superblock.fragmentsPerBlock
  const header = volume.pages.page(group.page)
  for (let length = count; length < perBlock; length++) {
    if (header.readInt32LE(RUNS_AT + 4 * length) <= 0) continue
    const runOf = (bits: number) => RUNS[bits]!.find((run) => run[1] === length)
    const from = header.readInt32LE(FRAGMENT_ROTOR_AT)
    const block = findBlock(volume, group, from, (bits) => runOf(bits) !== undefined)
    if (block === undefined) continue
    const bits = blockBits(header, group.freeMapAt, block, perBlock)
    return block * perBlock + runOf(bits)![0]
  }
  return undefined
}

/** All groups, the preferred one first. */
function* groupsFrom(volume: Volume, first: number): Generator<Group> {
  const { groups } = volume.superblock
  for (let i = 0; i < groups; i++) yield groupAt(volume, (first + i) % groups)
}

/**
 * Take `count` fragments of one block, of a whole one when it is as many as a block has.
 *
 * @param near wanted address: it is taken when it is free, and else decides the group
 * @returns the address
 * @throws {NoSpace} when no group has that much in one piece
 */
export function allocate(volume: Volume, near: number, count: number): number {
  const s = volume.superblock
  const perBlock = s.fragmentsPerBlock
  const wanted = Math.max(0, Math.min(near, s.fragments - 1))
  for (const group of groupsFrom(volume, groupOf(s, wanted))) {
    const inside = wanted >= group.base && wanted < group.base + group.fragments
    const index = inside ? wanted - group.base : -1
    if (count < perBlock) {
      const run = findRun(volume, group, count)
      if (run !== undefined) return take(volume, group, run, count)
    }
    if (countsOf(volume, group).blocks <= 0) continue
    if (index % perBlock === 0 && isFree(volume, group, index, perBlock)) {
      return take(volume, group, index, count)
    }
    const from = inside ? index : volume.pages.page(group.page).readInt32LE(BLOCK_ROTOR_AT)
    const whole = allFree(perBlock)
    const block = findBlock(volume, group, from, (bits) => bits === whole)
    if (block !== undefined) return take(volume, group, block * perBlock, count)
  }
  throw new NoSpace('bytes')
}

/** Take the fragments that follow `count` others in the same block, if they are free. */
export function extend(volume: Volume, address: number, count: number, more: number): boolean {
  const group = groupAt(volume, groupOf(volume.superblock, address))
  const index = address - group.base + count
  if (index % volume.superblock.fragmentsPerBlock === 0) return false // the next block
  if (!isFree(volume, group, index, more)) return false
  take(volume, group, index, more)
  return true
}
