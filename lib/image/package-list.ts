/**
 * The packages of a new system, as ../../distros/list-packages.sh prints them inside it: on the serial console
 * of a machine, where logs put their own words in front and others print in between, or to the program that
 * fills a directory. It is the one way that every method has; a file system of the finished disk could be read
 * for some distros only, and RPM's database by RPM alone.
 */
import { LISTING } from '../machine/markers.ts'

export type Package = {
  name: string
  /** Of RPM's behind its epoch, where there is one: `1:2.3-4.el9`. */
  version: string
  arch: string
  /** What it was built from: a name, or with RPM a file. */
  source: string
  /** Where it has one of its own, as with Debian. */
  sourceVersion: string
  /** As the package itself has it: licences, each a name or an expression of names. */
  licences: string[]
}

export type PackageList = {
  /** As os-release has it: `debian`, `12`; empty where there is no such file. */
  system: { id: string; version: string; kind: 'deb' | 'rpm' }
  /** Sorted by name, version and architecture. */
  packages: Package[]
}

/** Behind what a log puts in front, where LISTING begins: what every line is. */
const LINE = /^hybrid-images-(system|package|licence|packages)\|(.*)\|\.$/

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/**
 * The list in a console's or a program's output, the last one where there are several.
 *
 * @returns undefined where there is none, or it is not whole: something was printed into a line of it
 */
export function readPackageList(output: string): PackageList | undefined {
  let system: PackageList['system'] = { id: '', version: '', kind: 'deb' }
  let packages: Package[] = []
  let whole: PackageList | undefined
  for (const line of output.split('\n')) {
    const at = line.search(LISTING)
    const [, kind, text = ''] = (at >= 0 && LINE.exec(line.slice(at).trimEnd())) || []
    if (kind === undefined) continue
    const [first = '', second = '', arch = '', source = '', sourceVersion = ''] = text.split('|')
    if (kind === 'system') {
      system = { id: first, version: second, kind: arch === 'rpm' ? 'rpm' : 'deb' }
      packages = []
      whole = undefined
    } else if (kind === 'package') {
      packages.push({ name: first, version: second, arch, source, sourceVersion, licences: [] })
    } else if (kind === 'licence') {
      const last = packages.at(-1)
      // Pieces of one text, until it is complete.
      if (last?.name === first) last.licences = [(last.licences[0] ?? '') + second]
    } else if (Number(first) === packages.length && packages.length > 0) {
      whole = { system, packages }
    }
  }
  if (!whole) return undefined
  const done = whole.packages.map((one) => ({
    ...one,
    licences: (one.licences[0] ?? '')
      .split(';')
      .map((name) => name.trim())
      .filter(Boolean)
      .sort(),
  }))
  done.sort(
    (a, b) => compare(a.name, b.name) || compare(a.version, b.version) || compare(a.arch, b.arch),
  )
  return { system: whole.system, packages: done }
}
