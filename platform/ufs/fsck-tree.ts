/** Directories from the root down: their entries, and how many names each inode has. */
import type { Check, Found } from './fsck.ts'

const DIRECTORY = 0x4000
const ACL = 0xb000

type Name = { inode: number; name: string }

export function checkTree(check: Check): void {
  const { inodes, report } = check
  const names = new Map<number, number>()
  const count = (inode: number) => names.set(inode, (names.get(inode) ?? 0) + 1)
  const seen = new Set<number>([2])
  const todo: { number: number; parent: number; path: string }[] = [
    { number: 2, parent: 2, path: '' },
  ]
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { number, parent, path } = next
    const directory = inodes.get(number)
    if (directory?.mode !== DIRECTORY) continue
    const entries = entriesOf(check, directory, path || '/')
    checkDots(check, entries, number, parent, path || '/')
    for (const [i, { inode, name }] of entries.entries()) {
      count(inode)
      const target = inodes.get(inode)
      if (!target) {
        report(`"${path}/${name}" has inode ${inode}, which is free`)
        continue
      }
      if (i < 2 || target.mode !== DIRECTORY) continue
      if (seen.has(inode)) report(`directory "${path}/${name}" has a second name`)
      else todo.push({ number: inode, parent: number, path: `${path}/${name}` })
      seen.add(inode)
    }
  }
  for (const [number, { acl }] of inodes) {
    if (acl === 0) continue
    if (inodes.get(acl)?.mode !== ACL) report(`inode ${number} has ${acl} as ACL, which is none`)
    count(acl)
  }
  for (const [number, { links, mode }] of inodes) {
    const found = names.get(number) ?? 0
    if (found === 0) report(`inode ${number} has no name${mode === ACL ? ', though an ACL' : ''}`)
    if (found !== links) report(`inode ${number} has ${found} names and says ${links}`)
  }
}

function checkDots(check: Check, entries: Name[], self: number, parent: number, path: string) {
  const [dot, dotdot, ...others] = entries
  if (dot?.name !== '.' || dot.inode !== self) check.report(`directory "${path}" has a wrong "."`)
  if (dotdot?.name !== '..' || dotdot.inode !== parent) {
    check.report(`directory "${path}" has a wrong ".."`)
  }
  const known = new Set<string>(['.', '..'])
  for (const { name } of others) {
    if (known.has(name)) check.report(`directory "${path}" has "${name}" twice`)
    known.add(name)
  }
}

function entriesOf(check: Check, directory: Found, path: string): Name[] {
  if (directory.size === 0 || directory.size % 512 !== 0) {
    check.report(`directory "${path}" has ${directory.size} bytes`)
    return []
  }
  const entries: Name[] = []
  for (const { at, bytes } of directory.blocks) {
    const block = check.read(at, bytes)
    for (let chunk = 0; chunk < bytes; chunk += 512) {
      entries.push(...entriesOfChunk(check, block.subarray(chunk, chunk + 512), path))
    }
  }
  return entries
}

function entriesOfChunk(check: Check, chunk: Buffer, path: string): Name[] {
  const entries: Name[] = []
  const broken = (at: number) => {
    check.report(`directory "${path}" has a broken entry at ${at} of a chunk`)
    return entries
  }
  for (let at = 0; at < 512;) {
    if (at + 8 > 512) return broken(at)
    const inode = chunk.readUInt32LE(at)
    const length = chunk.readUInt16LE(at + 4)
    const nameBytes = chunk.readUInt16LE(at + 6)
    if (length < 8 || length % 4 !== 0 || at + length > 512) return broken(at)
    if (inode !== 0) {
      const needed = 8 + Math.ceil((nameBytes + 1) / 4) * 4
      if (nameBytes === 0 || nameBytes > 255 || needed > length) return broken(at)
      const name = chunk.subarray(at + 8, at + 8 + nameBytes)
      if (name.includes(0) || name.includes(0x2f) || chunk[at + 8 + nameBytes] !== 0) {
        return broken(at)
      }
      entries.push({ inode, name: name.toString('latin1') })
    }
    at += length
  }
  return entries
}
