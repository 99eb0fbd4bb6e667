/**
 * Files of a root tar that lies on this machine, uncompressed. Headers are read and contents skipped, so that
 * the whole of it is known in a moment; later entries of a name replace earlier ones, as for who unpacks it.
 *
 * Sources: pax(1), "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual, "Basic Tar Format".
 */
import { BuildError } from '../cli/errors.ts'
import type { ReadBytes } from './bytes.ts'
import type { Kind, Node, Stat, Volume } from './files.ts'

const BLOCK = 512
/** Of a header's own content: names are shorter. */
const LONGEST_HEADER = 1 << 20

const KINDS: Readonly<Record<string, Kind>> = {
  '0': 'file',
  '7': 'file',
  '5': 'directory',
  '2': 'link',
}

type Entry = Stat & { at: number; link: string; children: Map<string, Node> }

const text = (field: Buffer) => field.toString('latin1').replace(/\0[^]*$/, '')

/** Octal, or where that has no room the bytes of the number. */
function number(field: Buffer): number {
  if (field[0]! & 0x80) return Number(BigInt(`0x${field.toString('hex')}`) & ((1n << 63n) - 1n))
  return parseInt(text(field).trim() || '0', 8)
}

/** `length name=value`, each with a newline at its end. */
function paxFields(content: Buffer): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < content.length;) {
    const length = parseInt(content.toString('latin1', at, at + 12), 10)
    if (!(length > 0)) break
    const [, name, value] =
      /^\d+ ([^=]+)=([^]*)\n$/.exec(content.toString('latin1', at, at + length)) ?? []
    if (name !== undefined) fields.set(name, value!)
    at += length
  }
  return fields
}

/** @throws {BuildError} when it is no tar, or damaged */
export function openTar(read: ReadBytes, bytes: number): Volume {
  const directory = (): Entry => ({
    ...{ kind: 'directory', bytes: 0, mode: 0o755, uid: 0, at: 0, link: '' },
    children: new Map(),
  })
  const nodes: Entry[] = [directory()]

  const find = (path: string, make: boolean): Node | undefined => {
    let node: Node = 0
    for (const part of path.split('/').filter((one) => one !== '' && one !== '.')) {
      const { children } = nodes[node]!
      let next = children.get(part)
      if (next === undefined) {
        if (!make) return undefined
        next = nodes.push(directory()) - 1
        children.set(part, next)
      }
      node = next
    }
    return node
  }

  let pax = new Map<string, string>()
  for (let at = 0; at + BLOCK <= bytes;) {
    const header = read(at, BLOCK)
    if (header[0] === 0) break // the end is two blocks of zeros
    if (header.toString('latin1', 257, 262) !== 'ustar') {
      throw new BuildError(`Cannot read the root tar: at byte ${at} is no header`)
    }
    const type = String.fromCharCode(header[156]!).replace('\0', '0')
    const size = Number(pax.get('size') ?? number(header.subarray(124, 136)))
    const content = at + BLOCK
    if (!Number.isSafeInteger(size) || size < 0 || content + size > bytes) {
      throw new BuildError(`Cannot read the root tar: what is at byte ${at} reaches beyond its end`)
    }
    at = content + Math.ceil(size / BLOCK) * BLOCK
    if ('xLK'.includes(type)) {
      const said = Buffer.from(read(content, Math.min(size, LONGEST_HEADER)))
      if (type === 'x') pax = new Map([...pax, ...paxFields(said)])
      else pax.set(type === 'L' ? 'path' : 'linkpath', text(said))
      continue
    }
    if (type === 'g') continue
    const prefix =
      header.toString('latin1', 257, 263) === 'ustar\0' ? text(header.subarray(345, 500)) : ''
    const short = text(header.subarray(0, 100))
    const name = pax.get('path') ?? (prefix ? `${prefix}/${short}` : short)
    const link = pax.get('linkpath') ?? text(header.subarray(157, 257))
    const uid = Number(pax.get('uid') ?? number(header.subarray(108, 116)))
    const mode = number(header.subarray(100, 108)) & 0o7777
    pax = new Map()
    const parent = nodes[find(name.replace(/[^/]*\/*$/, ''), true)!]!
    const last = /([^/]*)\/*$/.exec(name)![1]!
    if (last === '' || last === '.') continue // the root itself
    const same = type === '1' ? find(link, false) : undefined
    if (same !== undefined) parent.children.set(last, same)
    else {
      const kind = KINDS[type] ?? 'other'
      const old = kind === 'directory' ? parent.children.get(last) : undefined
      const children = old === undefined ? new Map<string, Node>() : nodes[old]!.children
      const entry = { kind, bytes: size, mode, uid, at: content, link, children }
      parent.children.set(last, nodes.push(entry) - 1)
    }
  }

  return {
    root: 0,
    uuid: undefined,
    stat: (node) => nodes[node]!,
    entries: (node) => nodes[node]!.children,
    read(node, limit) {
      const { kind, link, at, bytes: size } = nodes[node]!
      if (kind === 'link') return Buffer.from(link, 'latin1')
      return Buffer.from(read(at, Math.min(size, limit)))
    },
    extents: (node) => [{ offset: nodes[node]!.at, length: nodes[node]!.bytes }],
  }
}
