/**
 * Where a build lies in Manta:
 *
 *   <path>/<name>/<stamp>/               the build's files, md5sums.txt, artifacts.txt
 *   <path>/<name>/<branch>-latest        where the newest of the branch is, as text
 *   <path>/<name>/latest-release         the same of branches release-YYYYMMDD
 *
 * Source: eng's tools/bits-upload.sh; the layout is that of directory.ts.
 */
import { UsageError } from '../cli/errors.ts'
import { parseStamp } from '../image/stamp.ts'

/**
 * The full path of what `--path` says: `/account/public/builds` as it is, `~~/...`, `/public/...` and `/stor/...`
 * below the account, anything else below its `stor`.
 *
 * @throws {UsageError} when it leads nowhere in particular
 */
export function fullPath(path: string, account: string): string {
  const below = /^\/(stor|public)(\/|$)/.test(path) ? `/${account}${path}` : path
  const full = below.startsWith('~~/')
    ? `/${account}/${below.slice(3)}`
    : below.startsWith('/')
      ? below
      : `/${account}/stor/${below}`
  const clean = full.replaceAll(/\/+/g, '/').replace(/\/$/, '')
  if (/^\/[^/]+\/(stor|public)\/[^/]/.test(clean) && !/\/\.{1,2}(\/|$)/.test(clean)) return clean
  throw new UsageError(`Cannot use --path "${path}": it is no directory below stor or public`, {
    hint: `As in /${account}/public/builds`,
  })
}

/** A path as an address has it. */
export const encodedPath = (path: string) => path.split('/').map(encodeURIComponent).join('/')

/** Directories that may have to be made, from the top; `/account/stor` and `/account/public` always are. */
export function directoriesOf(path: string): string[] {
  const parts = path.split('/').slice(1)
  return parts.slice(2).map((_, i) => `/${parts.slice(0, i + 3).join('/')}`)
}

/** Names of the pointers that a build of this branch renews. */
export function pointersOf(branch: string): string[] {
  return [`${branch}-latest`, ...(/^release-\d{8}$/.test(branch) ? ['latest-release'] : [])]
}

/** Is what a pointer says newer than this build? Then it stays: builds are published again, and late. */
export function isNewer(pointer: string, stamp: string): boolean {
  const there = parseStamp(pointer.trim().split('/').at(-1) ?? '')
  const own = parseStamp(stamp)
  return there !== undefined && own !== undefined && there.at > own.at
}

/** As eng's artifacts.txt has it: an address of what the world may read, a path of the rest. */
export function artifactOf(url: URL, path: string): string {
  return /^\/[^/]+\/public\//.test(path)
    ? `${url.href.replace(/\/$/, '')}${encodedPath(path)}`
    : path
}
