/**
 * What the tests of the editor share: random images, and a model in memory that says what an image
 * has to hold after the edits so far.
 */
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ufs } from '../../../platform/ufs/edit.ts'
import type { UfsReader } from '../../../platform/ufs/reader.ts'
import type { Random } from '../../random.ts'
import type { Geometry, Given } from './mkufs.ts'

export const NOW = 1400000000

/** A directory for images: in memory where there is room, as thousands are made. */
export function imageDir(): { dir: string; remove: () => void } {
  const inMemory = '/dev/shm'
  const roomy = existsSync(inMemory) && statfsSync(inMemory).bavail * 4096 > 256 * 1024 ** 2
  const dir = mkdtempSync(join(roomy ? inMemory : tmpdir(), 'hybrid-ufs-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

/** One inode: names that are links to one file share it. */
export type File = {
  type: string
  mode: number
  uid: number
  gid: number
  mtimeSeconds?: number
  content?: Buffer
  target?: string
}
export type Model = Map<string, File>

const SIZES = [
  [4096, 512],
  [4096, 1024],
  [4096, 1024],
  [4096, 2048],
  [4096, 4096],
  [8192, 1024],
  [8192, 2048],
  [8192, 8192],
] as const

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!

/** Some image with one to about ten groups, with or without shifted tables. */
export function randomGeometry(random: Random): Geometry {
  const [blockBytes, fragmentBytes] = pick(random, SIZES)
  const tracks = pick(random, [1, 1, 2, 4])
  return {
    blockBytes,
    fragmentBytes,
    tracks,
    // Whole blocks for each track keep shifted tables on the places of blocks.
    sectorsPerTrack: (blockBytes / 512) * (8 + random.below(6)),
    cylindersPerGroup: tracks === 1 ? 8 : 4,
    rotationalPositions: pick(random, [1, 4, 8]),
    bytesPerInode: pick(random, [2048, 4096, 12248, 60000]),
    bytes: 700_000 + random.below(pick(random, [100_000, 1_500_000, 5_000_000])),
    nowSeconds: NOW - 1000,
  }
}

/** Bytes that differ from place to place, cheaply made. */
export function someBytes(random: Random, length: number): Buffer {
  const seed = random.bytes(61) // an odd length: no two blocks are the same
  const data = Buffer.alloc(length)
  for (let at = 0; at < length; at += seed.length) seed.copy(data, at)
  return data
}

/** Most files are small, some need indirect blocks. */
export function randomBytes(random: Random, blockBytes: number): Buffer {
  const limit = pick(random, [1, 600, 2000, 9000, 9000, 12 * blockBytes, 20 * blockBytes])
  return someBytes(random, random.below(limit + 1))
}

/** Files for a new image, and the model of it. */
export function randomFiles(random: Random, blockBytes: number): { given: Given[]; model: Model } {
  const given: Given[] = []
  const model: Model = new Map()
  const directories = ['']
  model.set('/lost+found', { type: 'directory', mode: 0o700, uid: 0, gid: 0 })
  const count = random.below(25)
  for (let i = 0; i < count; i++) {
    const path = `${pick(random, directories)}/n${i}${'x'.repeat(random.below(20))}`
    const owner = { mode: random.below(0o10000), uid: random.below(70000), gid: random.below(9) }
    const kind = random.below(10)
    if (kind < 3) {
      given.push({ type: 'directory', path, ...owner })
      model.set(path, { type: 'directory', ...owner })
      directories.push(path)
    } else if (kind < 7) {
      const content = randomBytes(random, blockBytes)
      if (random.below(3) === 0) content.fill(0, 0, random.below(content.length + 1))
      given.push({ type: 'file', path, content, sparse: random.below(2) === 0, ...owner })
      model.set(path, { type: 'file', content, ...owner })
    } else if (kind === 7) {
      const target = 't'.repeat(1 + random.below(200))
      given.push({ type: 'symlink', path, target, ...owner })
      model.set(path, { type: 'symlink', target, ...owner })
    } else if (kind === 8) {
      const type = pick(random, ['fifo', 'character device', 'block device'] as const)
      given.push(type === 'fifo' ? { type, path, ...owner } : { type, path, device: i, ...owner })
      model.set(path, { type, ...owner })
    } else {
      const files = [...model].filter(([, { type }]) => type === 'file')
      if (files.length === 0) continue
      const [to, file] = pick(random, files)
      given.push({ type: 'link', path, to })
      model.set(path, file)
    }
  }
  return { given, model }
}

/** How an image differs from the model, as lines. */
export function differences(ufs: UfsReader, model: Model): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  for (const { path, ...status } of ufs.walk()) {
    seen.add(path)
    const file = model.get(path)
    if (!file) {
      found.push(`${path} is too many`)
      continue
    }
    // A directory's time is that of the last change in it.
    const timed = file.type !== 'directory' && file.mtimeSeconds !== undefined
    let links = 0
    if (file.type === 'directory') {
      const inside = (other: string) => other.startsWith(`${path}/`)
      const depth = path.split('/').length + 1
      links = 2
      for (const [other, { type }] of model) {
        if (type === 'directory' && inside(other) && other.split('/').length === depth) links++
      }
    } else for (const other of model.values()) if (other === file) links++
    for (const [what, is, should] of [
      ['type', status.type, file.type],
      ['mode', status.mode, file.mode],
      ['uid', status.uid, file.uid],
      ['gid', status.gid, file.gid],
      ['links', status.links, links],
      ['mtime', timed ? status.mtimeSeconds : undefined, timed ? file.mtimeSeconds : undefined],
    ] as const) {
      if (is !== should) found.push(`${path} has ${what} ${is}, not ${should}`)
    }
    if (file.content && !ufs.readFile(path).equals(file.content)) found.push(`${path} differs`)
    if (file.target && ufs.readLink(path) !== file.target) found.push(`${path} leads elsewhere`)
  }
  for (const path of model.keys()) if (!seen.has(path)) found.push(`${path} is missing`)
  return found
}

/** Remove a path and all below it from the model. */
function removeBelow(model: Model, path: string): void {
  for (const other of [...model.keys()]) {
    if (other === path || other.startsWith(`${path}/`)) model.delete(other)
  }
}

/**
 * One random edit, of the image and of the model. Returns its name; edits that don't fit throw and
 * leave both as they were.
 */
export function randomEdit(random: Random, ufs: Ufs, model: Model, blockBytes: number): string {
  const paths = [...model.keys()]
  const directories = ['', ...paths.filter((path) => model.get(path)!.type === 'directory')]
  const fresh = () => {
    const name = `e${random.below(100_000)}${'y'.repeat(random.below(4) ? random.below(9) : random.below(240))}`
    return `${pick(random, directories)}/${name}`
  }
  const attributes = () => ({
    mode: random.below(0o10000),
    uid: random.below(3) ? random.below(65536) : 65534 + random.below(100_000),
    gid: random.below(70_000),
    mtimeSeconds: random.below(NOW),
  })
  const kind = random.below(20)
  if (kind < 6 || paths.length === 0) {
    const path = fresh()
    const content = randomBytes(random, blockBytes)
    const given = random.below(2) ? attributes() : undefined
    ufs.writeFile(path, content, given)
    model.set(path, { type: 'file', ...(given ?? { mode: 0o644, uid: 0, gid: 0 }), content })
    return 'create'
  }
  const path = pick(random, paths)
  const file = model.get(path)!
  if (kind < 10) {
    if (file.type !== 'file') return 'nothing'
    const content = randomBytes(random, blockBytes)
    ufs.writeFile(path, content)
    model.set(path, { ...file, content, mtimeSeconds: NOW })
    return 'replace'
  }
  if (kind < 12) {
    const made = fresh()
    const given = attributes()
    ufs.mkdir(made, given)
    model.set(made, { type: 'directory', ...given })
    return 'mkdir'
  }
  if (kind < 14) {
    const made = fresh()
    const target = 'l'.repeat(1 + random.below(random.below(5) ? 80 : 1023))
    ufs.symlink(made, target)
    model.set(made, { type: 'symlink', mode: 0o777, uid: 0, gid: 0, target })
    return 'symlink'
  }
  if (kind < 16) {
    if (file.type === 'directory') return 'nothing'
    ufs.remove(path)
    model.delete(path)
    return 'remove'
  }
  if (kind === 16) {
    if (random.below(3)) return 'nothing' // else images stay small
    ufs.removeTree(path)
    removeBelow(model, path)
    return 'remove tree'
  }
  if (kind === 17 && file.type !== 'symlink') {
    const mode = random.below(0o10000)
    ufs.chmod(path, mode)
    file.mode = mode
    return 'chmod'
  }
  if (kind === 18) {
    const { uid, gid } = attributes()
    ufs.chown(path, uid, gid)
    Object.assign(file, { uid, gid })
    return 'chown'
  }
  const time = random.below(NOW)
  ufs.setTime(path, time)
  file.mtimeSeconds = time
  return 'time'
}
