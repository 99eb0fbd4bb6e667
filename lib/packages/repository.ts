/**
 * A repository of exactly the packages of a lock, as a directory: whoever installs from it can choose no other
 * version, and needs no network.
 *
 * Source: sources.list(5), exact paths and "trusted"; dpkg-deb(1), --field.
 */
import { copyFile, link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { $, act } from '../cli/run.ts'
import { type LockedPackage } from './lock.ts'
import { fileOf } from './store.ts'

/**
 * Prints each package's own fields and the name of its file. They are words of the script, never a part of it:
 * their names come from a mirror.
 */
const FIELDS =
  'for file; do dpkg-deb --field "$file" && echo "Filename: ./${file##*/}" || exit; done'

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to)) // another file system, say
}

/** Size and digest behind each file's name; stanzas are divided by an empty line. */
export function indexText(fields: string, packages: readonly LockedPackage[]): string {
  const known = new Map(packages.map((one) => [fileOf(one), one]))
  return fields.replaceAll(/^Filename: \.\/(.*)$/gm, (line, file: string) => {
    const { bytes = 0, sha256 = '' } = known.get(file) ?? {}
    return `${line}\nSize: ${bytes}\nSHA256: ${sha256}\n`
  })
}

/**
 * Make it, of files that the cache has.
 *
 * @returns the line of sources.list
 * @throws {BuildError} when a package can't be read
 */
export async function makeRepository(
  directory: string,
  store: string,
  packages: readonly LockedPackage[],
): Promise<string> {
  await act(`link ${packages.length} packages of ${store} to ${directory}`, async () => {
    await mkdir(directory, { recursive: true })
    for (const one of packages) {
      await linkOrCopy(join(store, fileOf(one)), join(directory, fileOf(one)))
    }
  })
  // One after the other takes seconds, which two processes share.
  const files = packages.map((one) => `./${fileOf(one)}`)
  const half = Math.ceil(files.length / 2)
  const halves = [files.slice(0, half), files.slice(half)]
  const read = await Promise.all(
    halves.map((some) => $({ cwd: directory })`sh -c ${[FIELDS]} sh ${some}`),
  )
  const text = indexText(read.map(({ stdout }) => stdout).join(''), packages)
  await act(`write ${directory}/Packages`, () => writeFile(join(directory, 'Packages'), text))
  return `deb [trusted=yes] copy:${encodeURI(directory)} ./`
}
