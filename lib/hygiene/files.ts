/**
 * The files of a system as its own programs would see them, read from where they lie and never mounted:
 * paths are walked here, links in them are followed inside the system, and other volumes are where the
 * system mounts them. Whoever reads a volume (ext.ts, xfs.ts, fat.ts, tar.ts) knows nothing of paths.
 *
 * A name in a volume may be anything, as an operator's image or script has made it: it is compared, and shown
 * in messages, never handed to a program or joined to a path of this machine.
 */

export type Kind = 'file' | 'directory' | 'link' | 'other'

export type Stat = {
  kind: Kind
  /** Of the content. */
  bytes: number
  /** Permissions alone. */
  mode: number
  uid: number
}

/** Names a file inside its volume. */
export type Node = number

/** A file system, or a tar. What is asked of a node that is none throws. */
export type Volume = {
  root: Node
  /** As /etc/fstab names it; undefined where it has none. */
  uuid: string | undefined
  /** Likewise, empty where it has none; of a tar undefined. */
  label?: string
  stat(node: Node): Stat
  /** Of a directory, without "." and "..". */
  entries(node: Node): ReadonlyMap<string, Node>
  /** The first bytes of a file, or where a link leads. */
  read(node: Node, limit: number): Buffer
  /** Where its content lies on the disk or in the tar: bytes from there. */
  extents(node: Node): { offset: number; length: number }[]
}

type Place = { volume: Volume; node: Node; path: string }

/** Links in links: more is a ring. */
const MOST_LINKS = 16
/** Text files of a system are shorter. */
const LONGEST_TEXT = 1 << 20

const join = (directory: string, name: string) => `${directory === '/' ? '' : directory}/${name}`
const partsOf = (path: string) => path.split('/').filter((part) => part !== '' && part !== '.')

export class SystemFiles {
  readonly #volumes: ReadonlyMap<string, Volume>
  /** What is on the same disk, and is not among the files: each a line for an operator. */
  readonly unread: readonly string[]

  /** @param volumes by the directory that each is mounted at; one is at `/` */
  constructor(volumes: ReadonlyMap<string, Volume>, unread: readonly string[] = []) {
    this.#volumes = volumes
    this.unread = unread
  }

  /** Of the file itself, a link included; undefined: there is none. */
  stat(path: string): Stat | undefined {
    const place = this.#find(path, false)
    return place && place.volume.stat(place.node)
  }

  /** Whether something is there, be it a link that leads nowhere. */
  has(path: string): boolean {
    return this.#find(path, false) !== undefined
  }

  /** Where a link leads; undefined: it is none. */
  link(path: string): string | undefined {
    const place = this.#find(path, false)
    if (place?.volume.stat(place.node).kind !== 'link') return undefined
    return place.volume.read(place.node, LONGEST_TEXT).toString('latin1')
  }

  /** Names in a directory, sorted; none where there is no directory. */
  list(path: string): string[] {
    const place = this.#find(path, true)
    if (place?.volume.stat(place.node).kind !== 'directory') return []
    return [...place.volume.entries(place.node).keys()].sort()
  }

  /** Paths of what is in a directory. */
  paths(path: string): string[] {
    return this.list(path).map((name) => join(path, name))
  }

  /** Text of a file, its beginning where it is long; undefined: there is no file. */
  text(path: string): string | undefined {
    const place = this.#find(path, true)
    if (place?.volume.stat(place.node).kind !== 'file') return undefined
    return place.volume.read(place.node, LONGEST_TEXT).toString('latin1')
  }

  /** Everything below a directory, itself left out; links are not followed, mounted volumes are entered. */
  *walk(top: string, seen = new Map<Volume, Set<Node>>()): Generator<{ path: string; stat: Stat }> {
    const place = this.#find(top, false)
    if (place?.volume.stat(place.node).kind !== 'directory') return
    // A directory is in one place; in a damaged file system it may be inside itself.
    const known = seen.get(place.volume) ?? new Set()
    if (known.has(place.node)) return
    seen.set(place.volume, known.add(place.node))
    for (const name of [...place.volume.entries(place.node).keys()].sort()) {
      const path = join(top, name)
      const stat = this.stat(path)
      if (!stat) continue
      yield { path, stat }
      if (stat.kind === 'directory') yield* this.walk(path, seen)
    }
  }

  /** Path of the file that a byte belongs to; undefined: it is free, or the file system's own. */
  ownerOf(offset: number): string | undefined {
    for (const { path, stat } of this.walk('/')) {
      if (stat.kind !== 'file') continue
      const { volume, node } = this.#find(path, false)!
      const holds = volume
        .extents(node)
        .some((extent) => offset >= extent.offset && offset < extent.offset + extent.length)
      if (holds) return path
    }
    return undefined
  }

  #find(path: string, follow: boolean): Place | undefined {
    let left = partsOf(path)
    let place = this.#at('/')
    for (let links = 0; left.length > 0;) {
      const [part, ...rest] = left as [string, ...string[]]
      if (part === '..') {
        const up = this.#find(`/${partsOf(place.path).slice(0, -1).join('/')}`, false)
        if (!up) return undefined
        ;[place, left] = [up, rest]
        continue
      }
      if (place.volume.stat(place.node).kind !== 'directory') return undefined
      const next = join(place.path, part)
      const node = place.volume.entries(place.node).get(part)
      if (node === undefined && !this.#volumes.has(next)) return undefined
      const found = this.#volumes.has(next)
        ? this.#at(next)
        : { volume: place.volume, node: node!, path: next }
      if (found.volume.stat(found.node).kind === 'link' && (follow || rest.length > 0)) {
        if (++links > MOST_LINKS) return undefined
        const target = found.volume.read(found.node, LONGEST_TEXT).toString('latin1')
        if (target.startsWith('/')) place = this.#at('/')
        left = [...partsOf(target), ...rest]
      } else [place, left] = [found, rest]
    }
    return place
  }

  #at(mounted: string): Place {
    const volume = this.#volumes.get(mounted)!
    return { volume, node: volume.root, path: mounted }
  }
}
