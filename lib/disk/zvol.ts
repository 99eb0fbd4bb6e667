/**
 * A volume of ZFS to build in, in a build zone on SmartOS: its image is what `zfs send` says.
 * Source: zfs(8).
 */
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, HostError } from '../cli/errors.ts'
import { outputBytes } from '../cli/output-bytes.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session, stopSignal } from '../cli/session.ts'
import { asRoot } from '../host/privileges.ts'

export type Zvol = {
  dataset: string
  /** The raw device: a hypervisor writes past the block cache. */
  device: string
}

/** Name of the snapshot that becomes an image. */
const SNAPSHOT = 'final'

type Patience = { attempts: number; pauseMs: number }
/** bhyve lets go of its disk some seconds after it has ended. */
const DESTROY: Patience = { attempts: 20, pauseMs: 1000 }
/** A zone sees a new volume's device here, some moments after it was made. */
const DEVICES: Patience & { directory: string } = {
  directory: '/dev/zvol/rdsk',
  attempts: 40,
  pauseMs: 250,
}

const zfs = (...words: string[]) => asRoot('zfs', ...words)

/**
 * The dataset that volumes go below.
 *
 * @param place its name, or the directory that it is mounted at: `/data`
 * @throws {HostError} when there is none: the zone was not prepared
 */
export async function findDataset(place: string): Promise<string> {
  if (session.dryRun) return place.startsWith('/') ? `DATASET-OF-${place.slice(1)}` : place
  const words = zfs('list', '-H', '-o', 'name,mountpoint', place)
  const { exitCode, stdout, stderr } = await $({ readOnly: true, nothrow: true })`${words}`
  const [name, mountpoint] = stdout.trim().split('\t')
  // Of any directory zfs names the dataset that it lies on, be it the zone's own root.
  const found = exitCode === 0 && (!place.startsWith('/') || mountpoint === place)
  if (found) return name!
  const why = exitCode === 0 ? `it lies on ${name}` : stderr.trim() || `zfs: ${exitCode}`
  throw new HostError(`Cannot make volumes: ${place} is no dataset of this zone (${why})`, {
    hint: 'In the global zone: ./bin/setup-build-zone <this zone>; or choose --disk file',
  })
}

/**
 * Make a sparse volume, with a name that no other build has; it is destroyed at the end, whatever the
 * end is.
 *
 * @param parent dataset, as in `zones/<zone>/data`
 * @throws {BuildError} with the words of zfs, or when no device of it appears
 */
export async function makeZvol(
  parent: string,
  { bytes, blockSize }: { bytes: number; blockSize: number },
  scope: Scope,
  devices = DEVICES,
): Promise<Zvol> {
  // A zone's /dev/zvol keeps ghosts of volumes that were destroyed: no name is used twice.
  const dataset = `${parent}/${randomUUID()}`
  const options = ['-s', '-V', String(bytes), '-o', `volblocksize=${blockSize}`]
  scope.defer(`Destroy ${dataset}`, async () => {
    if (!session.keep) await destroyZvol(dataset)
  })
  await $`${zfs('create', ...options, dataset)}`
  const device = `${devices.directory}/${dataset}`
  if (!session.dryRun) await waitForDevice(device, devices)
  return { dataset, device }
}

async function waitForDevice(device: string, { attempts, pauseMs }: Patience): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const file = await open(device)
      await file.close()
      return
    } catch (error) {
      if (attempt >= attempts) {
        throw new BuildError(`Cannot open ${device}, although zfs has made it`, {
          hint: "This zone's /dev/zvol is stale: restart the zone (vmadm reboot), or choose --disk file",
          cause: error,
        })
      }
    }
    await delay(pauseMs, undefined, { signal: stopSignal() })
  }
}

/** Destroy a volume with its snapshots, which may be busy still; one that is not there is destroyed. */
export async function destroyZvol(dataset: string, { attempts, pauseMs } = DESTROY): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { exitCode, stderr } = await $({
      nothrow: true,
      undo: true,
    })`${zfs('destroy', '-r', dataset)}`
    if (exitCode === 0 || /does not exist/.test(stderr)) return
    if (!/busy/.test(stderr) || attempt >= attempts) {
      throw new BuildError(`Cannot destroy ${dataset}: ${stderr.trim()}`, {
        hint: `When nothing uses it any more: ${zfs('destroy', '-r', dataset).join(' ')}`,
      })
    }
    await delay(pauseMs)
  }
}

export type ZvolSnapshot = {
  /** `zones/<zone>/data/<volume>@final` */
  name: string
  guid: bigint
  /** Bytes of data in it. */
  referenced: number
}

/** Snapshot a volume as it is now. @throws {BuildError} with the words of zfs */
export async function snapshotZvol({ dataset }: Zvol): Promise<ZvolSnapshot> {
  const name = `${dataset}@${SNAPSHOT}`
  await $`${zfs('snapshot', name)}`
  if (session.dryRun) return { name, guid: 0n, referenced: 1 }
  const words = zfs('get', '-H', '-p', '-o', 'property,value', 'guid,referenced', name)
  const { stdout } = await $({ readOnly: true })`${words}`
  const value = (property: string) =>
    new RegExp(`^${property}\\t(\\d+)$`, 'm').exec(stdout)?.[1] ?? '0'
  const guid = BigInt(value('guid'))
  if (guid === 0n) throw new BuildError(`Cannot read the guid of ${name}: zfs says "${stdout}"`)
  return { name, guid, referenced: Number(value('referenced')) || 1 }
}

/**
 * The send stream of a snapshot; `onProgress` hears the bytes so far.
 *
 * @throws {BuildError} with the words of zfs, when it ends with anything but success
 */
export async function* sendZvol(
  snapshot: string,
  onProgress: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const words = zfs('send', snapshot)
  if (session.dryRun) return act(`read what ${words.join(' ')} writes`, () => {})
  let bytes = 0
  for await (const piece of outputBytes(words, `send ${snapshot}`)) {
    yield piece
    onProgress((bytes += piece.length))
  }
}
