/**
 * Makes UFS images as SmartOS' build has them (newfs on a lofi device), with files in them.
 *
 * Written apart from the editor: files are laid out one after the other, and all maps and counts are
 * made at the end from what is in use. Defaults are those of boot archives: blocks of 4096, fragments
 * of 1024, 12248 bytes for each inode, cylinders of 600 sectors on one track, 16 in a group.
 * Source: illumos, usr/src/cmd/fs.d/ufs/mkfs/mkfs.c and sys/fs/ufs_*.h.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { type Layout, layoutOf, tablesOf } from './mkufs-tables.ts'

export type Geometry = {
  /** Of the image; the file system ends with the last whole cylinder. */
  bytes: number
  blockBytes?: number
  fragmentBytes?: number
  bytesPerInode?: number
  sectorsPerTrack?: number
  tracks?: number
  cylindersPerGroup?: number
  rotationalPositions?: number
  nowSeconds?: number
}

type Common = { path: string; mode?: number; uid?: number; gid?: number; mtimeSeconds?: number }
export type Given = Common &
  (
    | { type: 'directory' }
    /** `sparse`: whole blocks of zeros become holes. A function is called when its turn comes. */
    | { type: 'file'; content: Uint8Array | (() => Uint8Array); sparse?: boolean }
    | { type: 'symlink'; target: string }
    | { type: 'link'; to: string }
    | { type: 'fifo' }
    | { type: 'character device' | 'block device'; device: number }
  )

const MODES = {
  directory: 0x4000,
  file: 0x8000,
  symlink: 0xa000,
  fifo: 0x1000,
  'character device': 0x2000,
  'block device': 0x6000,
}

type Node = { inode: number; given: Exclude<Given, { type: 'link' }>; links: number }

/** Content of a directory: entries in chunks of 512 bytes, the last of each fills it. */
export function directoryContent(entries: [name: string, inode: number][]): Buffer {
  const chunks: Buffer[] = []
  let end = 512
  let last = 0
  for (const [name, inode] of entries) {
    const bytes = Buffer.from(name)
    const length = 8 + Math.ceil((bytes.length + 1) / 4) * 4
    if (end + length > 512) {
      if (chunks.length > 0) chunks.at(-1)!.writeUInt16LE(512 - last, last + 4)
      chunks.push(Buffer.alloc(512))
      end = 0
    }
    const chunk = chunks.at(-1)!
    chunk.writeUInt32LE(inode, end)
    chunk.writeUInt16LE(length, end + 4)
    chunk.writeUInt16LE(bytes.length, end + 6)
    bytes.copy(chunk, end + 8)
    last = end
    end += length
  }
  chunks.at(-1)!.writeUInt16LE(512 - last, last + 4)
  return Buffer.concat(chunks)
}

/** Gives out space from the first fragment to the last. */
function spaceOf(layout: Layout, used: Uint8Array) {
  const { perBlock, fragments } = layout
  let cursor = 0
  let tail = { at: 0, left: 0 }
  const block = (): number => {
    for (; cursor + perBlock <= fragments; cursor += perBlock) {
      let free = true
      for (let i = 0; i < perBlock; i++) free &&= used[cursor + i] === 0
      if (!free) continue
      used.fill(1, cursor, cursor + perBlock)
      cursor += perBlock
      return cursor - perBlock
    }
    throw new Error('mkufs: the image is full')
  }
  return {
    block,
    /** Fragments for the end of a file, where possible behind those of the one before it. */
    tail(count: number): number {
      if (tail.left < count) {
        tail = { at: block(), left: perBlock }
        used.fill(0, tail.at, tail.at + perBlock)
      }
      const at = tail.at
      used.fill(1, at, at + count)
      tail = { at: at + count, left: tail.left - count }
      return at
    },
  }
}

/** Number the inodes, in the order given; missing directories above a path are made. */
function nodesOf(given: Iterable<Given>): {
  nodes: Map<string, Node>
  children: Map<string, [string, number][]>
} {
  const nodes = new Map<string, Node>()
  const children = new Map<string, [string, number][]>()
  const linked = new Map<string, Node>()
  let next = 2
  const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'))
  const add = (one: Given): void => {
    const path = one.path.replace(/\/$/, '')
    const parent = parentOf(path)
    if (path !== '' && !nodes.has(parent)) add({ type: 'directory', path: parent })
    const name = path.slice(parent.length + 1)
    if (one.type === 'link') {
      const target = (nodes.get(one.to) ?? linked.get(one.to))!
      linked.set(path, target)
      target.links++
      children.get(parent)!.push([name, target.inode])
      return
    }
    const directory = one.type === 'directory'
    const node = { inode: next++, given: one, links: directory ? 2 : 1 }
    nodes.set(path, node)
    if (directory)
      children.set(path, [
        ['.', node.inode],
        ['..', nodes.get(parent)?.inode ?? 2],
      ])
    if (path === '') return
    children.get(parent)!.push([name, node.inode])
    if (directory) nodes.get(parent)!.links++
  }
  add({ type: 'directory', path: '' })
  add({ type: 'directory', path: '/lost+found', mode: 0o700 })
  for (const one of given) {
    if (one.path === '/') nodes.get('')!.given = { ...one, path: '' } as Node['given']
    else add(one)
  }
  return { nodes, children }
}

/** Make an image; the files' parents are made where they are not given. */
export function mkufs(path: string, geometry: Geometry, given: Iterable<Given> = []): void {
  const layout = layoutOf(geometry)
  const { fragmentBytes, blockBytes, perBlock, pointers } = layout
  const used = new Uint8Array(layout.fragments)
  layout.markTables(used)
  const space = spaceOf(layout, used)
  const inodes = new Map<number, Buffer>()
  const { nodes, children } = nodesOf(given)
  const fd = openSync(path, 'w')
  const write = (address: number, data: Uint8Array) =>
    writeSync(fd, data, 0, data.length, address * fragmentBytes)

  /** Content to the image. @returns the inode's pointers and sectors */
  const store = (content: Uint8Array, sparse: boolean): { pointers: number[]; sectors: number } => {
    const all: number[] = []
    let fragments = 0
    let run = { address: 0, from: 0, to: 0 }
    const flush = () => {
      if (run.to > run.from) write(run.address, content.subarray(run.from, run.to))
    }
    for (let at = 0; at < content.length; at += blockBytes) {
      const end = Math.min(content.length, at + blockBytes)
      const isTail = end - at < blockBytes && all.length < 12
      const count = isTail ? Math.ceil((end - at) / fragmentBytes) : perBlock
      if (
        sparse &&
        end - at === blockBytes &&
        content.subarray(at, end).every((byte) => byte === 0)
      ) {
        all.push(0)
        continue
      }
      const address = count < perBlock ? space.tail(count) : space.block()
      all.push(address)
      fragments += count
      if (run.to === at && address === run.address + (at - run.from) / fragmentBytes) run.to = end
      else {
        flush()
        run = { address, from: at, to: end }
      }
    }
    flush()
    const indirect = (addresses: number[]): number => {
      if (addresses.every((address) => address === 0)) return 0
      const block = Buffer.alloc(blockBytes)
      addresses.forEach((address, i) => block.writeUInt32LE(address, 4 * i))
      const at = space.block()
      fragments += perBlock
      write(at, block)
      return at
    }
    const direct = [...all.slice(0, 12), ...new Array<number>(12).fill(0)].slice(0, 12)
    const single = indirect(all.slice(12, 12 + pointers))
    const beyond: number[] = []
    for (let i = 12 + pointers; i < all.length; i += pointers) {
      beyond.push(indirect(all.slice(i, i + pointers)))
    }
    const double = indirect(beyond)
    return { pointers: [...direct, single, double, 0], sectors: (fragments * fragmentBytes) / 512 }
  }

  for (const [place, { inode, given: one, links }] of nodes) {
    const data = Buffer.alloc(128)
    let size = 0
    let stored: ReturnType<typeof store> = { pointers: [], sectors: 0 }
    if (one.type === 'directory') {
      let content = directoryContent(children.get(place)!)
      if (place === '/lost+found') {
        const unused = Buffer.alloc(512)
        unused.writeUInt16LE(512, 4)
        content = Buffer.concat([content, ...new Array<Buffer>(blockBytes / 512 - 1).fill(unused)])
      }
      size = content.length
      stored = store(content, false)
    } else if (one.type === 'file') {
      const content = typeof one.content === 'function' ? one.content() : one.content
      size = content.length
      stored = store(content, one.sparse ?? false)
    } else if (one.type === 'symlink') {
      size = Buffer.byteLength(one.target)
      stored = store(Buffer.from(one.target), false)
    } else if (one.type !== 'fifo') {
      stored = { pointers: [0, one.device], sectors: 0 }
    }
    const { uid = 0, gid = 0 } = one
    const permissions = one.mode ?? (one.type === 'directory' ? 0o755 : 0o644)
    data.writeUInt16LE(MODES[one.type] | permissions, 0)
    data.writeInt16LE(links, 2)
    data.writeUInt16LE(Math.min(uid, 65535), 4)
    data.writeUInt16LE(Math.min(gid, 65535), 6)
    data.writeUInt32LE(size, 8)
    for (const at of [16, 24, 32]) data.writeInt32LE(one.mtimeSeconds ?? layout.nowSeconds, at)
    stored.pointers.forEach((pointer, i) => data.writeUInt32LE(pointer, 40 + 4 * i))
    data.writeInt32LE(stored.sectors, 104)
    data.writeInt32LE(inode * 7, 108)
    data.writeUInt32LE(uid, 116)
    data.writeUInt32LE(gid, 120)
    inodes.set(inode, data)
  }
  for (const { address, data } of tablesOf(layout, used, inodes)) write(address, data)
  ftruncateSync(fd, geometry.bytes)
  closeSync(fd)
}
