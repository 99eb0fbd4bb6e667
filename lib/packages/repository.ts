/**
 * A repository of exactly the packages of a lock, as a directory: whoever installs from it can choose no other
 * version, and needs no network.
 *
 * Source: sources.list(5), exact paths and "trusted"; apt-ftparchive(1), packages; Debian's RepositoryFormat.
 */
import { createHash } from 'node:crypto'
import { copyFile, link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { $, act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { type LockedPackage } from './lock.ts'
import { fileOf } from './store.ts'

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to)) // another file system, say
}

/**
 * The index in the order of the lock. apt-ftparchive's is that in which a file system lists its files, and what apt
 * chooses by it is not to differ between machines.
 *
 * @throws {BuildError} when a package is not in it
 */
export function orderIndex(index: string, packages: readonly LockedPackage[]): string {
  const known = new Map(
    index
      .split(/\n\n+/)
      .map((stanza) => [/^Filename: (?:\.\/)?(.*)$/m.exec(stanza)?.[1] ?? '', stanza.trim()]),
  )
  return packages
    .map((one) => {
      const stanza = known.get(fileOf(one))
      if (stanza !== undefined) return `${stanza}\n\n`
      throw new BuildError(`Cannot read package ${fileOf(one)}: it says nothing of itself`)
    })
    .join('')
}

/**
 * What says of which release it is: mmdebstrap 1.5.7, of Debian 13, finds the essential packages by that. Its date is
 * in no clock's future; nothing of it gets into a system.
 */
export function releaseFile(codename: string, index: string): string {
  const digest = createHash('sha256').update(index).digest('hex')
  return [
    `Suite: ${codename}`,
    `Codename: ${codename}`,
    'Date: Thu, 01 Jan 1970 00:00:00 UTC',
    'SHA256:',
    ` ${digest} ${Buffer.byteLength(index)} Packages`,
    '',
  ].join('\n')
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
  codename: string,
  packages: readonly LockedPackage[],
): Promise<string> {
  await act(`link ${packages.length} packages of ${store} to ${directory}`, async () => {
    await mkdir(directory, { recursive: true })
    for (const one of packages) {
      await linkOrCopy(join(store, fileOf(one)), join(directory, fileOf(one)))
    }
  })
  // One digest is enough for a directory that nobody else can write.
  const digests = ['MD5', 'SHA1', 'SHA512'].flatMap((name) => [
    '-o',
    `APT::FTPArchive::${name}=false`,
  ])
  const { stdout } = await $({ cwd: directory })`apt-ftparchive ${digests} packages .`
  const text = session.dryRun ? '' : orderIndex(stdout, packages)
  await act(`write ${directory}/Packages and Release`, async () => {
    await writeFile(join(directory, 'Packages'), text)
    await writeFile(join(directory, 'Release'), releaseFile(codename, text))
  })
  return `deb [trusted=yes] copy:${encodeURI(directory)} ./`
}
