/**
 * The kinds of edits of a platform's root file system. Old platforms differ: an edit looks at what is
 * there, and where that is not what it expects it says so and is left out, or stops the build.
 */
import { fileURLToPath } from 'node:url'
import { BuildError } from '../lib/cli/errors.ts'
import type { Ufs } from './ufs/edit.ts'

/** What edits fill in. */
export type Retro = {
  stamp: string
  version: string
  /** A file of the operator's, on this machine. */
  network: string | undefined
  /** PEM. */
  certificates: string
}

export type Edit = {
  what: string
  /** Do it; a text says why it was left out. @throws {BuildError} when there is no going on without it */
  apply: (ufs: Ufs, retro: Retro) => string | undefined
}

const FILES = new URL('files/', import.meta.url)

/** A file of ours, by its path in the file system. */
export const ownFile = (path: string) => fileURLToPath(new URL(path.slice(1), FILES))

/** Make the directories that lead to a path. */
export function makeParents(ufs: Ufs, path: string): void {
  const parts = path.split('/').slice(1, -1)
  parts.forEach((_, i) => {
    const directory = `/${parts.slice(0, i + 1).join('/')}`
    if (!ufs.exists(directory)) ufs.mkdir(directory)
  })
}

/** Put a file there, in place of one of the same name. */
export function putFile(
  ufs: Ufs,
  path: string,
  content: string | Uint8Array | { file: string },
  mode: number,
): undefined {
  makeParents(ufs, path)
  ufs.writeFile(path, content, { mode, uid: 0, gid: 0 })
  return undefined
}

/** A file of ours as it is. */
export const put = (path: string, mode: number, what: string): Edit => ({
  what,
  apply: (ufs) => putFile(ufs, path, { file: ownFile(path) }, mode),
})

/** A symbolic link, in place of what is there. */
export const link = (path: string, target: string, what: string): Edit => ({
  what,
  apply(ufs) {
    makeParents(ufs, path)
    if (ufs.exists(path)) ufs.remove(path)
    ufs.symlink(path, target)
    return undefined
  },
})

/**
 * Change the text of a file that is there; its mode and owner stay.
 *
 * @param change the new text, or `undefined` where the old is not what is expected
 */
export const change = (
  path: string,
  what: string,
  change: (text: string, retro: Retro) => string | undefined,
  needed = false,
): Edit => ({
  what,
  apply(ufs, retro) {
    const leave = (why: string) => {
      if (!needed) return why
      throw new BuildError(`Cannot ${what}: ${why}`, {
        hint: 'This platform is not like those that are known: please report its stamp',
      })
    }
    if (!ufs.exists(path)) return leave(`there is no ${path}`)
    const real = ufs.realPath(path)
    const before = ufs.readFile(real).toString('latin1')
    const after = change(before, retro)
    if (after === undefined) return leave(`${path} is not what is expected`)
    if (after !== before) ufs.writeFile(real, Buffer.from(after, 'latin1'))
    return undefined
  },
})
