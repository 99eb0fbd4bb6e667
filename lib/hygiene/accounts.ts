/** Who has an account in a system, and their home directories. Source: passwd(5), shadow(5), login.defs(5). */
import type { SystemFiles } from './files.ts'

export type Account = { name: string; password: string; uid: number; home: string }

/** Nobody, as 16 and 32 bits have it. */
const NOBODY = [65534, 4294967294]
const USUAL_FIRST = 1000

/** Lines of a file that are neither empty nor comments. */
export function linesOf(files: SystemFiles, path: string, comment = /^\s*#/): string[] {
  return (files.text(path) ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !comment.test(line))
}

/** Of /etc/passwd. */
export function accountsOf(files: SystemFiles): Account[] {
  return linesOf(files, '/etc/passwd')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 6)
    .map(([name, password, uid, , , home]) => ({
      name: name!,
      password: password!,
      uid: Number(uid),
      home: home!,
    }))
}

/** Those that are people: from the number on that the system itself counts from. */
export function ordinaryUsers(files: SystemFiles): Account[] {
  const said = /^\s*UID_MIN\s+(\d+)/m.exec(files.text('/etc/login.defs') ?? '')?.[1]
  const first = Math.min(USUAL_FIRST, Number(said ?? USUAL_FIRST))
  return accountsOf(files).filter(({ uid }) => uid >= first && !NOBODY.includes(uid))
}

/** Where users' own files are: root's and people's homes, and directories that look like ones. */
export function homesOf(files: SystemFiles): string[] {
  const homes = [
    '/root',
    ...accountsOf(files).map(({ home }) => home),
    ...files.paths('/home').filter((path) => !path.endsWith('/lost+found')),
  ]
  // Services live in /, /bin or /proc, which are nobody's home.
  const own = homes.filter((home) => home.split('/').length > 2 || home === '/root')
  return [...new Set(own)].filter(
    (home) => !/^\/(bin|sbin|usr|proc|dev|run|nonexistent)\b/.test(home),
  )
}
