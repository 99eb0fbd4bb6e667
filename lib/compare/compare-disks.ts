/**
 * Two raw disks, part by part: table, boot code, EFI system partition, root file system, and the bytes of all the
 * rest. Only what differs in its bytes is read as files.
 */
import type { Report } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import { differingRanges } from './byte-ranges.ts'
import { compareEsp } from './compare-esp.ts'
import { compareRoot } from './compare-root.ts'
import { compareFacts, type Part, partOf } from './difference.ts'
import type { Region, Table } from './partitions.ts'
import { bytesDiffer, type CompareOptions, type Pair, type Side } from './side.ts'

/** All parts, the most telling of a kind first. */
export async function compareDisks(
  a: Side,
  b: Side,
  options: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<Part[]> {
  const pairs = await comparePairs(a, b, report)
  const of = (kind: Region['kind']) => pairs.filter((pair) => pair.a.kind === kind)
  const named = (name: string) => pairs.find((pair) => pair.a.name === name)
  const size = compareFacts(
    [['size', `${a.disk.bytes} bytes`]],
    [['size', `${b.disk.bytes} bytes`]],
  )
  report(undefined, 'EFI system partition')
  const esp = await compareEsp(a, b, named(ESP), options)
  const roots = await compareRoot(a, b, named(ROOT), options, scope, report)
  return [
    partOf('disk', size, `${a.disk.bytes} bytes`),
    tablePart(a.table, b.table, of('table')),
    partOf('boot code', of('boot code').flatMap(bytesDiffer), 'byte for byte'),
    esp,
    ...roots,
    partOf('everything else', pairs.filter(isOther).flatMap(bytesDiffer), 'byte for byte'),
  ]
}

const ROOT = 'root file system'
const ESP = 'EFI system partition'
const isOther = ({ a }: Pair) =>
  ![ROOT, ESP].includes(a.name) && !['boot code', 'table'].includes(a.kind)

function tablePart(a: Table, b: Table, pairs: readonly Pair[]): Part {
  const facts = compareFacts(a.facts, b.facts)
  const says = a.label === undefined ? 'none' : `${a.label}, ${a.partitions.length} partitions`
  // Other fields are other bytes; where they are the same something is there that sfdisk does not tell.
  return partOf('partition table', facts.length > 0 ? facts : pairs.flatMap(bytesDiffer), says)
}

/** Regions of the same name, and those that both have one of, wherever it is. */
async function comparePairs(a: Side, b: Side, report: Report): Promise<Pair[]> {
  // What one alone has is a partition like others: its bytes are compared with those in its place.
  const roots = [a, b].every(({ root }) => !('why' in root))
  const esps = [a, b].every(({ regions }) => regions.some(isEspRegion))
  const regionsBy = (side: Side) => {
    const regions = roots ? withRoot(side) : side.regions
    return esps ? withEsp(regions) : regions
  }
  const inB = regionsBy(b)
  const pairs = regionsBy(a).flatMap((one) => {
    const other = inB.find(({ name }) => name === one.name)
    return other ? [{ a: one, b: other }] : []
  })
  const data = ({ disk }: Side) => disk.extents.reduce((sum, { length }) => sum + length, 0)
  const all = Math.max(data(a), data(b), 1)
  let done = 0
  const compared: Pair[] = []
  for (const pair of pairs) {
    const ranges = await differingRanges(
      { disk: a.disk, region: pair.a },
      { disk: b.disk, region: pair.b },
      (bytes) => report((done += bytes) / all, pair.a.name),
    )
    compared.push({ ...pair, ranges })
  }
  return compared
}

const isEspRegion = ({ kind }: Region) => kind === 'esp'

function withEsp(regions: Region[]): Region[] {
  const first = regions.find(isEspRegion)
  return regions.map((region) => (region === first ? { ...region, name: ESP } : region))
}

/** The regions, that with the root file system cut in two where it is on a logical volume. */
function withRoot({ regions, root }: Side): Region[] {
  if ('why' in root) return regions
  return regions.flatMap((region): Region[] => {
    if (region.name !== root.region) return [region]
    const before = root.offset - region.offset
    return [
      ...(before > 0 ? [{ ...region, name: `LVM of ${region.name}`, length: before }] : []),
      { name: ROOT, kind: 'partition', offset: root.offset, length: root.length },
    ]
  })
}
