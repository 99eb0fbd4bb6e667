/**
 * Reading and writing of ISO 9660 images, by xorriso: Rock Ridge and Joliet names, no mounting, no root.
 */
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BuildError, explain } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { checkIsNoPipe } from '../cli/small-file.ts'

/** Where a volume descriptor says what it is: sector 16, after its type. */
const SIGNATURE = { text: 'CD001', offset: 16 * 2048 + 1 }

/** @throws {BuildError} when the file can't be read or is no ISO image */
export async function checkIso(path: string): Promise<void> {
  const bytes = Buffer.alloc(SIGNATURE.text.length)
  await checkIsNoPipe(path)
  try {
    const file = await open(path)
    try {
      await file.read(bytes, 0, bytes.length, SIGNATURE.offset)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  if (bytes.toString('latin1') === SIGNATURE.text) return
  throw new BuildError(`Cannot use "${path}": it is no ISO 9660 image`, {
    hint: 'It may be an error page or a cut download: look at its beginning, or fetch it again',
  })
}

/** Where boot loaders on CDs expect to be told of themselves. */
const EL_TORITO = ['-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table']

/** Paths of all files in an image, as it names them. @throws {BuildError} when it is none, or damaged */
export async function listIso(path: string): Promise<string[]> {
  await checkIso(path)
  const { exitCode, stdout, stderr } = await $({
    readOnly: true,
    nothrow: true,
  })`xorriso -indev ${path} -find / -type f -exec report_lba`
  if (exitCode !== 0) {
    const [, said] = /FAILURE : (.*)/.exec(stderr) ?? []
    throw new BuildError(
      `Cannot read "${path}": it is damaged (${said ?? `xorriso: ${exitCode}`})`,
      {
        hint: 'It may be cut: compare its size and digest, or fetch it again',
      },
    )
  }
  // File data lba:  0 ,      376 ,     1 ,       5 , '/dir/it'"'"'s'
  return [...stdout.matchAll(/^File data lba:.*? , '(.*)'$/gm)].map(([, name]) =>
    name!.replaceAll(`'"'"'`, "'"),
  )
}

/**
 * Take files out of an image, as `path in the image → path here`.
 *
 * @throws {BuildError} when the image lacks one; the message says what lies beside the missing place
 */
export async function extractFromIso(
  path: string,
  files: ReadonlyMap<string, string>,
): Promise<void> {
  const there = new Set(await listIso(path))
  const missing = [...files.keys()].filter((name) => !there.has(name))
  if (missing.length > 0) {
    const dir = dirname(missing[0]!)
    const near = [...there].filter((name) => dirname(name) === dir).slice(0, 8)
    throw new BuildError(`Cannot find ${missing.join(', ')} in "${path}"`, {
      hint: near.length > 0 ? `In ${dir} there is ${near.join(', ')}` : `It has no folder ${dir}`,
    })
  }
  const requests = [...files].flatMap(([from, to]) => ['-extract', from, to])
  for (const to of files.values()) await mkdir(dirname(to), { recursive: true })
  await $`xorriso -osirrox on -indev ${path} ${requests}`
}

/**
 * Write an image of a directory: answers for an installer, on a CD of this label.
 *
 * @param epochSeconds time of everything in it, so that the same answers give the same image
 * @param biosLoader path in the directory of what BIOS boots from it (El Torito, no emulation)
 */
export async function writeIso(
  directory: string,
  path: string,
  options: { label: string; epochSeconds: number; biosLoader?: string },
): Promise<void> {
  const { biosLoader } = options
  const env = { SOURCE_DATE_EPOCH: String(options.epochSeconds) }
  const words = [
    ...['xorriso', '-as', 'mkisofs', '-quiet'],
    ...['-volid', options.label],
    ...['-joliet', '-rational-rock', '--set_all_file_dates', `=${options.epochSeconds}`],
    ...(biosLoader === undefined ? [] : ['-b', biosLoader, ...EL_TORITO]),
    ...['-output', path],
    directory,
  ]
  await $({ env })`${words}`
}
