/**
 * A qcow2 image as a volume of a libvirt pool, through virsh, on this host or another.
 *
 * libvirt can't rename a volume, and its copy of one is made by qemu-img, which unpacks compressed images. So
 * the volume has its name from the start, and its first cluster, with the magic number, comes last: until then
 * it is raw to libvirt and to QEMU, and an instance over it is refused. What a killed run has left is known by that.
 *
 * Source: virsh(1), vol-create-as, vol-upload, vol-download; tried with libvirt 9.0.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, explain } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import type { Virsh } from './virsh.ts'

export type Volume = { pool: string; name: string }
type Image = { path: string; bytes: number; sha256: string }

/** What is written last. */
const HEAD = 64 * 1024
/** Pools whose volumes are files. */
const FILES = ['dir', 'fs', 'netfs']
const PROGRESS_MS = 2000
const DELETE_ATTEMPTS = 5

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const on = ({ pool, name }: Volume) => ['--pool', pool, '--vol', name]

/**
 * Put the image there.
 *
 * @param onBytes hears how much is there
 * @returns whether it was there before, and the same
 * @throws {BuildError} in libvirt's words, or when another image has that name
 */
export async function publishVolume(
  virsh: Virsh,
  volume: Volume,
  image: Image,
  scope: Scope,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const what = `upload ${image.path} to volume ${volume.pool}/${volume.name} at ${virsh.uri}`
  await checkPool(virsh, volume.pool, what)
  const there = await bytesOf(virsh, volume, what)
  if (there !== undefined) {
    const sized = there === image.bytes
    if (sized && (await digest(virsh, volume, 0, what)) === image.sha256) return true
    if (!sized || !(await isUnfinished(virsh, volume, image.bytes, what))) {
      const words = `vol-delete --pool ${volume.pool} ${volume.name}`
      throw new BuildError(`Cannot ${what}: another image of that name is there`, {
        hint: `Compare the two; this removes that one: virsh --connect ${virsh.uri} ${words}`,
      })
    }
    log.info(`Deleting ${volume.pool}/${volume.name}: an earlier upload of it did not end`)
    await virsh.run(what, ['vol-delete', ...on(volume)])
  }
  await create(virsh, volume, image.bytes, what, scope)
  await send(virsh, volume, image, what, onBytes)
  return false
}

async function checkPool(virsh: Virsh, pool: string, what: string): Promise<void> {
  const xml = await virsh.run(what, ['pool-dumpxml', '--pool', pool])
  const type = /<pool type='([\w-]+)'/.exec(xml)?.[1] ?? 'unknown'
  if (FILES.includes(type)) return
  throw new BuildError(`Cannot ${what}: pool "${pool}" is of type ${type}, which has no files`, {
    hint: `Choose a pool of type ${FILES.join(', ')} with --pool`,
  })
}

/** Bytes of the volume's file, or undefined when there is none. */
async function bytesOf(virsh: Virsh, volume: Volume, what: string): Promise<number | undefined> {
  const xml = await virsh.find(what, ['vol-dumpxml', ...on(volume)])
  if (xml === undefined) return undefined
  return Number(/<physical unit='bytes'>(\d+)</.exec(xml)?.[1])
}

/** @param offset where to begin @param length where to end, the volume's end without one */
async function digest(
  virsh: Virsh,
  volume: Volume,
  offset: number,
  what: string,
  length?: number,
): Promise<string> {
  const part = ['--offset', offset, ...(length === undefined ? [] : ['--length', length])]
  const words = ['vol-download', ...on(volume), '--file', '/dev/stdout', ...part]
  return (await virsh.run(what, words, { digest: true })).slice(0, 64)
}

/** Of this image's size, and nothing where qcow2's magic number has to be. */
async function isUnfinished(virsh: Virsh, volume: Volume, bytes: number, what: string) {
  const length = Math.min(HEAD, bytes)
  return (await digest(virsh, volume, 0, what, length)) === sha256(Buffer.alloc(length))
}

async function create(virsh: Virsh, volume: Volume, bytes: number, what: string, scope: Scope) {
  let ours = true
  // Before it is made: an interruption may come in between.
  scope.onFailure(`Delete volume ${volume.pool}/${volume.name}`, async () => {
    if (ours) await remove(virsh, volume)
  })
  const { pool, name } = volume
  const words = ['--pool', pool, '--name', name, '--capacity', `${bytes}B`, '--allocation', 0]
  try {
    await virsh.run(what, ['vol-create-as', ...words, '--format', 'raw'])
  } catch (error) {
    ours = stopSignal().aborted
    throw error
  }
}

async function remove(virsh: Virsh, volume: Volume): Promise<void> {
  const what = `delete volume ${volume.pool}/${volume.name}`
  for (let attempt = 1; ; attempt++) {
    try {
      await virsh.find(what, ['vol-delete', ...on(volume)], { undo: true })
      return
    } catch (error) {
      // libvirt may hold on to it until it has seen that the upload is over.
      if (attempt >= DELETE_ATTEMPTS) throw error
      await delay(1000)
    }
  }
}

async function send(
  virsh: Virsh,
  volume: Volume,
  image: Image,
  what: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { path, bytes } = image
  const length = Math.min(HEAD, bytes)
  const put = (offset: number, words: readonly (string | number)[], count?: number) =>
    virsh.run(
      what,
      ['vol-upload', ...on(volume), '--file', '/dev/stdin', '--offset', offset, ...words],
      { from: { path, offset, length: count } },
    )
  onBytes(0)
  const timer = setInterval(() => void allocated(virsh, volume).then(onBytes), PROGRESS_MS)
  try {
    if (bytes > length) await put(length, [])
  } finally {
    clearInterval(timer)
  }
  onBytes(bytes - length)
  const local = await localDigests(path, length)
  if (local.whole !== image.sha256) {
    throw new BuildError(`Cannot ${what}: the file changed meanwhile`)
  }
  // A second time over a network is for the operator to decide: its transport has sums of its own.
  const near = /^[\w+]+:\/\/\//.test(virsh.uri)
  if (near && bytes > length && (await digest(virsh, volume, length, what)) !== local.rest) {
    throw new BuildError(`Cannot ${what}: the volume differs from the file`)
  }
  await put(0, ['--length', length], length)
  if ((await digest(virsh, volume, 0, what, length)) !== local.head) {
    throw new BuildError(`Cannot ${what}: the volume differs from the file`)
  }
  onBytes(bytes)
}

/** Bytes of the volume on the disk: libvirt tells nothing else of an upload. */
async function allocated(virsh: Virsh, volume: Volume): Promise<number> {
  const said = await virsh
    .find('look at the volume', ['vol-info', ...on(volume), '--bytes'])
    .catch(() => undefined) // only for the progress
  return Number(/^Allocation: *(\d+)/m.exec(said ?? '')?.[1] ?? 0)
}

async function localDigests(path: string, length: number) {
  const [whole, head, rest] = [createHash('sha256'), createHash('sha256'), createHash('sha256')]
  let offset = 0
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const bytes = piece as Buffer // no encoding is set
      const cut = Math.max(0, Math.min(bytes.length, length - offset))
      whole.update(bytes)
      head.update(bytes.subarray(0, cut))
      rest.update(bytes.subarray(cut))
      offset += bytes.length
      stopSignal().throwIfAborted()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  return { whole: whole.digest('hex'), head: head.digest('hex'), rest: rest.digest('hex') }
}
