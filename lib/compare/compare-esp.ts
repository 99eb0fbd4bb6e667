/** The EFI system partitions of two disks. */
import type { Difference, Part } from './difference.ts'
import { compareFacts, notCompared, partOf } from './difference.ts'
import { bytesDiffer, type CompareOptions, type Pair, type Side, unreadable } from './side.ts'
import { fatFacts, readFatFiles } from './fat.ts'
import { compareFiles } from './files.ts'

const PART = 'EFI system partition'

/** @param pair their places, where both disks have one */
export async function compareEsp(
  a: Side,
  b: Side,
  pair: Pair | undefined,
  { ignoreTimes, diff }: CompareOptions,
): Promise<Part> {
  if (!pair) return notCompared(PART, 'not in both')
  if (pair.ranges.length === 0) return partOf(PART, [], 'byte for byte')
  const [factsA, factsB] = [await factsOf(a, pair.a.offset), await factsOf(b, pair.b.offset)]
  const facts = compareFacts(factsA, factsB)
  let files: Difference[]
  try {
    files = compareFiles(
      await readFatFiles(a.disk.path, pair.a.offset, a.work, diff),
      await readFatFiles(b.disk.path, pair.b.offset, b.work, diff),
      { ignoreTimes },
    )
  } catch (error) {
    const { says } = unreadable(PART, error, [a, b])
    return { ...partOf(PART, [...facts, ...bytesDiffer(pair)], ''), says: `no files: ${says}` }
  }
  const found = [...files, ...facts]
  if (found.length > 0) return partOf(PART, found, '')
  if (ignoreTimes) return partOf(PART, [], 'the same files')
  const rest = bytesDiffer(pair).map((one) => ({ ...one, what: 'bytes outside files' }))
  return { ...partOf(PART, rest, ''), says: 'the same files; other times of FAT, or unused bytes' }
}

async function factsOf({ disk }: Side, offset: number) {
  const sector = Buffer.alloc(512)
  await disk.file.read(sector, 0, sector.length, offset)
  return fatFacts(sector) ?? [['file system', 'no FAT'] as const]
}
