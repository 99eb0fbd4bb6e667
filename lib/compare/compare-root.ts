/** The root file systems of two disks: superblock, files, and what else there is of bytes. */
import type { Report } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import { checkFuse } from '../disk/fuse-mount.ts'
import { both, type CompareOptions, type Pair, type Side, unreadable } from './side.ts'
import { compareFacts, type Difference, notCompared, type Part, partOf } from './difference.ts'
import { readExtFiles, readSuperblock } from './ext.ts'
import { compareFiles } from './files.ts'
import type { Files } from './tar-files.ts'

const SYSTEM = 'root file system'
const FILES = 'files'
type RootSide = Side & { root: Exclude<Side['root'], { why: string }> }

const hasRoot = (side: Side): side is RootSide => !('why' in side.root)

/** @param pair their places, where both disks have one */
export async function compareRoot(
  a: Side,
  b: Side,
  pair: Pair | undefined,
  options: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<Part[]> {
  if (!pair || !hasRoot(a) || !hasRoot(b)) {
    const why = [a, b].flatMap(({ root }) => ('why' in root ? [root.why] : []))
    return [notCompared(SYSTEM, why.join('; ')), notCompared(FILES, 'no root file system')]
  }
  const kinds = compareFacts([['kind', a.root.kind]], [['kind', b.root.kind]])
  if (kinds.length > 0) {
    return [partOf(SYSTEM, kinds, ''), notCompared(FILES, 'file systems of two kinds')]
  }
  const same = pair.ranges.length === 0 && pair.a.length === pair.b.length
  if (same) {
    return [partOf(SYSTEM, [], `${a.root.kind}, byte for byte`), partOf(FILES, [], 'byte for byte')]
  }
  const bytes: Difference = { kind: 'bytes', what: 'bytes', change: 'changed', ranges: pair.ranges }
  if (a.root.kind === 'xfs') {
    return [
      partOf(SYSTEM, [bytes], ''),
      notCompared(FILES, 'XFS can not be listed without a mount'),
    ]
  }
  checkFuse()
  let facts: Difference[]
  try {
    facts = compareFacts(await superblock(a, options), await superblock(b, options))
  } catch (error) {
    const failed = unreadable(SYSTEM, error, [a, b])
    return [{ ...partOf(SYSTEM, [bytes], ''), says: failed.says }, notCompared(FILES, failed.says)]
  }
  let trees: readonly [Files, Files]
  try {
    trees = await readBoth(a, b, options, scope, report)
  } catch (error) {
    return [partOf(SYSTEM, [...facts, bytes], ''), unreadable(FILES, error, [a, b])]
  }
  const files = compareFiles(...trees, options)
  const filesPart = partOf(FILES, files, `${trees[0].size} files`)
  if (files.length > 0 || options.ignoreTimes) {
    return [partOf(SYSTEM, facts, 'ext, the same parameters'), filesPart]
  }
  // One that is longer than the other has the same bytes as far as both go.
  if (pair.ranges.length === 0) return [partOf(SYSTEM, facts, 'ext'), filesPart]
  const rest: Difference = { ...bytes, what: 'metadata or unused blocks' }
  return [
    { ...partOf(SYSTEM, [...facts, rest], ''), says: 'the same files; metadata or unused blocks' },
    filesPart,
  ]
}

const superblock = ({ disk, root }: RootSide, options: CompareOptions) =>
  readSuperblock(disk.path, root.offset, options)

/** Both at once: two programs are at work for each. */
async function readBoth(
  a: RootSide,
  b: RootSide,
  { diff }: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<readonly [Files, Files]> {
  const counts = [0, 0]
  const read = ({ disk, root, shown, work }: RootSide, which: 0 | 1) =>
    readExtFiles({ disk: disk.path, offset: root.offset, shown }, work, scope, {
      keepTexts: diff,
      onFile: (count) => {
        counts[which] = count
        report(undefined, `${counts[0]! + counts[1]!} files`)
      },
    })
  return both(read(a, 0), read(b, 1))
}
