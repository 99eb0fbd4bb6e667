/** A system's tree between two stages: dated, packed for the next build, taken from an earlier one. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { $, act } from '../cli/run.ts'
import type { Mode } from './mmdebstrap.ts'
import { rootTarWords } from './root-tar.ts'

const PACKED = 'tree.tar.zst'
/** As fast as the tar is read, and a third of its size. */
const COMPRESS = ['zstd', '-1', '-T0', '-q']

const KEEP_ALL = ['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*']

/**
 * Give everything that was written since a moment, or is from the future of the image, the image's date. Device nodes
 * go: a tar has none of them, mmdebstrap makes them anew, and so does every boot.
 */
export async function dateTree(
  directory: string,
  epochSeconds: number,
  sinceMs: number,
): Promise<void> {
  await $`find ${join(directory, 'dev')} -mindepth 1 -delete`
  // A second early: file systems may round down.
  const from = Math.min(epochSeconds, Math.floor(sinceMs / 1000) - 1)
  const wanted = ['-newermt', `@${from}`]
  const touch = ['-exec', 'touch', '--no-dereference', `--date=@${epochSeconds}`, '{}', '+']
  await $`find ${directory} -xdev -depth ${wanted} ${touch}`
}

/** Pack it into a directory of the stage cache. */
export async function packTree(mode: Mode, tree: string, into: string, epochSeconds: number) {
  const packed = join(into, PACKED)
  if (mode === 'root') {
    const [tar = '', ...words] = rootTarWords(tree, packed, epochSeconds)
    await $`${[tar, `--use-compress-program=${COMPRESS.join(' ')}`, ...words]}`
  } else await $`${[...COMPRESS, tree, '-o', packed]}`
}

/** And out again: a directory (root), or a tar file. */
export async function restoreTree(mode: Mode, from: string, tree: string): Promise<void> {
  const packed = join(from, PACKED)
  if (mode === 'unshare') {
    await $`zstd -d -q ${packed} -o ${tree}`
    return
  }
  await act(`make ${tree}`, () => mkdir(tree))
  const words = ['--use-compress-program=zstd', ...KEEP_ALL, '--file', packed, '--directory', tree]
  await $`tar --extract ${words}`
}

/**
 * Run a command on the tree of a tar file. Owners other than the user exist only inside a name space: unpack,
 * run and remove in one. Device nodes can't be made in there, and every boot makes them anew.
 */
export async function inUnpacked(
  tar: string,
  wordsFor: (directory: string) => string[],
  env: Record<string, string> = {},
): Promise<void> {
  const script =
    'set -e; directory=$1; tar=$2; shift 2; mkdir "$directory"; ' +
    'trap \'rm -rf "$directory"\' EXIT; ' +
    'tar --extract --exclude="./dev/*" --numeric-owner --acls --xattrs --xattrs-include="*" --file "$tar" --directory "$directory"; "$@"'
  const directory = `${tar}.d`
  await $({
    env,
  })`unshare --user --map-root-user --map-auto -- sh -c ${[script]} sh ${directory} ${tar} ${wordsFor(directory)}`
}
