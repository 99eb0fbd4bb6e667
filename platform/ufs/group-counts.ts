/** The counts in a cylinder group's header, against its maps. */
import { allFree, blockBits, ONES, RUNS } from './free-map.ts'
import { COUNTS_AT, type Group, readCounts, rotation, RUNS_AT } from './group.ts'
import type { Superblock } from './superblock.ts'

/**
 * What is wrong, or undefined. Searches rely on the counts: with wrong ones they would go astray, and
 * a clean image has none.
 */
export function wrongCount(s: Superblock, group: Group, header: Buffer): string | undefined {
  const perBlock = s.fragmentsPerBlock
  const runs = new Array<number>(8).fill(0)
  const byCylinder = new Array<number>(s.cylindersPerGroup).fill(0)
  const byPosition = new Array<number>(s.cylindersPerGroup * s.rotationalPositions).fill(0)
  let blocks = 0
  let fragments = 0
  for (let block = 0; block * perBlock < group.fragments; block++) {
    const bits = blockBits(header, group.freeMapAt, block, perBlock)
    if (bits === allFree(perBlock)) {
      const { cylinder, position } = rotation(s, block)
      blocks++
      byCylinder[cylinder]!++
      byPosition[cylinder * s.rotationalPositions + position]!++
    } else {
      fragments += ONES[bits]!
      for (const [, length] of RUNS[bits]!) runs[length]!++
    }
  }
  let inodes = 0
  for (let i = 0; i < s.inodesPerGroup; i++) {
    if ((header[group.inodeMapAt + (i >> 3)]! & (1 << (i & 7))) === 0) inodes++
  }
  const counts = readCounts(header, COUNTS_AT)
  const rows: [string, number, number][] = [
    ['free blocks', counts.blocks, blocks],
    ['free fragments', counts.fragments, fragments],
    ['free inodes', counts.inodes, inodes],
    ...runs
      .slice(0, perBlock)
      .map((count, k): [string, number, number] => [
        `free runs of ${k}`,
        k === 0 ? 0 : header.readInt32LE(RUNS_AT + 4 * k),
        count,
      ]),
    ...byCylinder.map((count, i): [string, number, number] => [
      `free blocks in cylinder ${i}`,
      header.readInt32LE(group.totalsAt + 4 * i),
      count,
    ]),
    ...byPosition.map((count, i): [string, number, number] => [
      `free blocks at rotational position ${i}`,
      header.readInt16LE(group.positionsAt + 2 * i),
      count,
    ]),
  ]
  const wrong = rows.find(([, said, counted]) => said !== counted)
  if (wrong) return `it says ${wrong[1]} ${wrong[0]}, its map has ${wrong[2]}`
  const directories = counts.directories
  if (directories < 0 || directories > s.inodesPerGroup) return `it says ${directories} directories`
  return undefined
}
