/**
 * Two images of any formats, from their files down to the bytes of their disks. What has the same bytes is not looked
 * into; that formats differ is no difference, only what they hold can be one.
 */
import { BuildError } from '../cli/errors.ts'
import { type Report, step } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import { checkFuse } from '../disk/fuse-mount.ts'
import { ensureTools, tool, TOOLS } from '../host/tools.ts'
import { compareDisks } from './compare-disks.ts'
import { compareContainers } from './containers.ts'
import { compareFacts, notCompared, type Part, partOf } from './difference.ts'
import { extTools, readExtFiles } from './ext.ts'
import { fatTools } from './fat.ts'
import { compareFiles } from './files.ts'
import {
  findImage,
  type NamedImage,
  openTar,
  type RestoredImage,
  restoreImage,
  workFor,
} from './open-image.ts'
import { both, type CompareOptions, lookAtDisk, type Side } from './side.ts'
import { type Files, readTarFiles } from './tar-files.ts'

export type Comparison = {
  /** Is all that was compared the same? */
  same: boolean
  a: Omit<NamedImage, 'manifest'>
  b: Omit<NamedImage, 'manifest'>
  parts: Part[]
}

/** What reading disks needs of this machine. */
const diskTools = [
  TOOLS.qemuImg,
  tool('sfdisk', 'fdisk', 'reads the partition table'),
  ...extTools,
  ...fatTools,
]

type Wanted = CompareOptions & { install: boolean }

/**
 * Compare them.
 *
 * @throws {BuildError} when one can't be read, is damaged or cut off
 * @throws {HostError} when this machine lacks what is needed
 */
export async function compareImages(
  named: readonly [string, string],
  wanted: Wanted,
  scope: Scope,
): Promise<Comparison> {
  const [a, b] = await step('Look at the files', async (report) => {
    const first = await findImage(named[0], report)
    return [first, await findImage(named[1], report)] as const
  })
  const identical = a.sha256 !== undefined && a.sha256 === b.sha256
  const contents = identical ? [] : await compareContents(a, b, wanted, scope)
  const parts = [
    ...(a.manifest && b.manifest
      ? [partOf('manifest', compareFacts(a.manifest, b.manifest), 'the same fields')]
      : []),
    ...fileParts(a, b, contents, wanted),
    ...contents,
  ]
  const plain = ({ manifest: _, ...image }: NamedImage) => image
  return { same: parts.every(({ state }) => state !== 'differs'), a: plain(a), b: plain(b), parts }
}

/** The image files as they are; a raw disk is mostly holes, and compared by its parts. */
function fileParts(
  a: NamedImage,
  b: NamedImage,
  contents: readonly Part[],
  { ignoreTimes }: CompareOptions,
): Part[] {
  const part = 'image file'
  if (a.format !== b.format) return [notCompared(part, `${a.format} and ${b.format}`)]
  if (a.sha256 === undefined) return []
  const facts = (image: NamedImage) =>
    [
      ['size', `${image.bytes} bytes`],
      ['sha256', image.sha256!],
    ] as const
  const differences = compareFacts(facts(a), facts(b))
  if (differences.length === 0) return [partOf(part, [], `sha256 ${a.sha256}`)]
  if (ignoreTimes) return [notCompared(part, 'they differ, as times do')]
  if (contents.some(({ state }) => state !== 'same')) return [partOf(part, differences, '')]
  return [{ ...partOf(part, differences, ''), says: 'the same content, packed in another way' }]
}

async function compareContents(
  a: NamedImage,
  b: NamedImage,
  wanted: Wanted,
  scope: Scope,
): Promise<Part[]> {
  const isDisk = ({ format }: NamedImage) => format !== 'tgz'
  await ensureTools(isDisk(a) || isDisk(b) ? diskTools : [], { install: wanted.install })
  const work = await scope.tempDir('compare-images')
  const places = [await workFor('a', work), await workFor('b', work)] as const
  const [one, other] = await step('Read the images', async (report) => {
    const read = [0, 0]
    const hears = (which: 0 | 1) => (fraction: number | undefined) => {
      read[which] = fraction ?? read[which]!
      report((read[0]! + read[1]!) / 2)
    }
    // Unpacking keeps one core busy.
    return both(
      openImage(a, places[0], wanted, scope, hears(0)),
      openImage(b, places[1], wanted, scope, hears(1)),
    )
  })
  const containers = await compareContainers(
    { ...a, ...one.restored },
    { ...b, ...other.restored },
    wanted,
  )
  return [
    ...containers,
    ...(await step('Compare the contents', (report) =>
      compareOpened(one, other, wanted, scope, report),
    )),
  ]
}

/** A disk, or files. */
type Opened = { restored?: RestoredImage; side?: Side; files?: Files; shown: string }

async function openImage(
  image: NamedImage,
  work: string,
  { diff }: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<Opened> {
  const shown = image.path
  try {
    if (image.format === 'tgz') {
      const options = { keepTexts: diff }
      return { shown, files: await readTarFiles(openTar(image, report), shown, options) }
    }
    const restored = await restoreImage(image, work, report)
    return { shown, restored, side: await lookAtDisk(restored.disk, shown, work, scope) }
  } catch (error) {
    throw withName(image.path, error)
  }
}

/** Which of the two it is, where the message does not say so. */
function withName(path: string, error: unknown): unknown {
  if (!(error instanceof BuildError) || error.exitStatus !== 1) return error
  if (error.message.includes(path)) return error
  return new BuildError(`Cannot compare "${path}": ${error.message}`, {
    hint: error.hint,
    cause: error,
  })
}

async function compareOpened(
  a: Opened,
  b: Opened,
  options: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<Part[]> {
  if (a.side && b.side) return compareDisks(a.side, b.side, options, scope, report)
  const files = async ({ side, files: known }: Opened) =>
    known ?? (await rootFiles(side!, options, scope, report))
  const [inA, inB] = [await files(a), await files(b)]
  const differences = compareFiles(inA, inB, options)
  const disks = (a.side ?? b.side) ? [notCompared('disk', 'one of the two is a tar of files')] : []
  return [...disks, partOf('files', differences, `${inA.size} files`)]
}

/** The files of a disk that has no other disk to be compared with. */
async function rootFiles(
  { root, disk, shown, work }: Side,
  { diff }: CompareOptions,
  scope: Scope,
  report: Report,
): Promise<Files> {
  const why = 'why' in root ? root.why : root.kind === 'xfs' ? 'its root file system is XFS' : ''
  if (why || 'why' in root) throw new BuildError(`Cannot list the files of "${shown}": ${why}`)
  checkFuse()
  const place = { disk: disk.path, offset: root.offset, shown }
  return readExtFiles(place, work, scope, {
    keepTexts: diff,
    onFile: (count) => report(undefined, `${count} files`),
  })
}
