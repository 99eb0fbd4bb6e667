/**
 * The map of free fragments, a block at a time: its 1, 2, 4 or 8 bits, set where a fragment is free.
 */

export const allFree = (perBlock: number) => (1 << perBlock) - 1

export function blockBits(header: Buffer, mapAt: number, block: number, perBlock: number): number {
  const bit = block * perBlock
  return (header[mapAt + (bit >> 3)]! >> (bit & 7)) & allFree(perBlock)
}

export function setBlockBits(
  header: Buffer,
  mapAt: number,
  block: number,
  perBlock: number,
  bits: number,
): void {
  const bit = block * perBlock
  const at = mapAt + (bit >> 3)
  header[at] = (header[at]! & ~(allFree(perBlock) << (bit & 7))) | (bits << (bit & 7))
}

/** Free runs in the bits of a block, as [first fragment, length]. */
export function freeRuns(bits: number): [first: number, length: number][] {
  const runs: [number, number][] = []
  for (let first = 0; bits >> first !== 0;) {
    let end = first
    while ((bits >> end) & 1) end++
    if (end > first) runs.push([first, end - first])
    first = end + 1
  }
  return runs
}

/** The runs of every possible byte: calculated once. */
export const RUNS: readonly (readonly [first: number, length: number][])[] = Array.from(
  { length: 256 },
  (_, bits) => freeRuns(bits),
)

/** Number of set bits of every possible byte. */
export const ONES: readonly number[] = RUNS.map((runs) =>
  runs.reduce((sum, [, length]) => sum + length, 0),
)
