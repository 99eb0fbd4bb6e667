/**
 * Files for an installer, in its initrd: an archive behind the vendor's own, which the kernel unpacks
 * over it. Nothing is remastered and nobody types.
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, copyFile, mkdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { explain } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'

export type InitrdFile = {
  /** Path in the initrd, without a slash in front. */
  to: string
  /** Its content, or the host file that holds it. */
  from: { text: string } | { path: string }
  mode: 0o644 | 0o755
}

/** All folders above these paths, and the paths: in an order in which they can be made. */
function withFolders(paths: readonly string[]): string[] {
  const all = new Set<string>()
  for (const path of paths) {
    const parts = path.split('/')
    for (let i = 1; i <= parts.length; i++) all.add(parts.slice(0, i).join('/'))
  }
  return [...all].sort()
}

/** Write the files below a directory, as they will be in the initrd. */
export async function writeTree(files: readonly InitrdFile[], tree: string): Promise<void> {
  for (const { to, from, mode } of files) {
    const path = join(tree, to)
    await mkdir(dirname(path), { recursive: true })
    if ('text' in from) await writeFile(path, from.text)
    else await copyFile(from.path, path)
    await chmod(path, mode)
  }
}

/**
 * Write an initrd with more files in it.
 *
 * @param work directory for what lies between
 * @param epochSeconds time of everything in the archive, so that the same answers give the same one
 * @throws {BuildError} when the vendor's can't be read, or this one not be written
 */
export async function addToInitrd(
  initrd: string,
  files: readonly InitrdFile[],
  output: string,
  work: string,
  epochSeconds: number,
): Promise<void> {
  const tree = join(work, 'initrd-files')
  await writeTree(files, tree)
  const archive = join(work, 'initrd-files.cpio')
  const paths = withFolders(files.map(({ to }) => to))
  for (const path of paths) await utimes(join(tree, path), epochSeconds, epochSeconds)
  const input = `${paths.join('\n')}\n`
  await $({
    cwd: tree,
    input,
  })`cpio --quiet --create --format=newc --owner=0:0 --reproducible --file=${archive}`
  await $`gzip --no-name --force ${archive}`
  try {
    const target = createWriteStream(output)
    await pipeline(createReadStream(initrd), target, { end: false })
    await pipeline(createReadStream(`${archive}.gz`), target)
  } catch (error) {
    throw explain(`add answers to "${initrd}"`, error)
  }
}
