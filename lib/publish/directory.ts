/**
 * Hands a finished build over to a directory: another disk, an NFS export, what a web server shows.
 *
 *   <directory>/<name>/<stamp>/             the build's files and md5sums.txt
 *   <directory>/<name>/<branch>-latest      the stamp of the newest
 *
 * A second call finds that it is there and changes nothing; what is there and differs is an error.
 * Source: the layout of the bits that eng's bits-upload.sh keeps.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Report } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { makeParents } from '../host/directories.ts'

const SUMS = 'md5sums.txt'

/** MD5, as the lists of the ancestors have it: against accidents, not against forgery. */
async function md5(path: string): Promise<string> {
  const hash = createHash('md5')
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}

/**
 * Copy a build there.
 *
 * @param build directory of the build: `bits/<name>/<stamp>`
 * @returns where its files are now
 * @throws {BuildError} when another build of this stamp is there, or a file can't be written
 */
export async function uploadToDirectory(
  build: { directory: string; name: string; branch: string },
  destination: string,
  scope: Scope,
  report: Report,
): Promise<string[]> {
  const stamp = basename(build.directory)
  const parent = join(destination, build.name)
  const final = join(parent, stamp)
  return act(
    `copy ${build.directory} to ${final}`,
    async () => {
      const names = (await readdir(build.directory)).sort()
      const lines: string[] = []
      for (const name of names) lines.push(`${await md5(join(build.directory, name))}  ${name}\n`)
      const sums = lines.join('')
      const there = await readFile(join(final, SUMS), 'utf8').catch(() => undefined)
      const paths = names.map((name) => join(final, name))
      if (there === sums) {
        log.info(`${final} is there already, and the same`)
        return paths
      }
      if (there !== undefined) {
        throw new BuildError(`Cannot upload to ${final}: another build of this stamp is there`, {
          hint: 'Compare the two, and remove the one that is wrong',
        })
      }
      const partial = `${final}.${process.pid}.partial`
      await makeParents(parent)
      await mkdir(partial)
      scope.onFailure(`Remove ${partial}`, () => rm(partial, { recursive: true, force: true }))
      for (const [i, name] of names.entries()) {
        report(i / names.length, name)
        await copyFile(join(build.directory, name), join(partial, name))
        const copied = `${await md5(join(partial, name))}  ${name}\n`
        if (copied !== lines[i]) {
          throw new BuildError(
            `Cannot upload ${name} to ${final}: the copy differs from the original`,
          )
        }
      }
      await writeFile(join(partial, SUMS), sums)
      await rename(partial, final)
      const latest = join(parent, `${build.branch}-latest`)
      await writeFile(`${latest}.${process.pid}.partial`, `${stamp}\n`)
      await rename(`${latest}.${process.pid}.partial`, latest)
      return paths
    },
    [],
  )
}
