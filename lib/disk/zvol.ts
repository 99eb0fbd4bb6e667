/**
 * A disk that is a volume of ZFS, in a build zone on SmartOS: its image is what `zfs send` says.
 * Source: zfs(8).
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session, stopSignal } from '../cli/session.ts'

/** What a volume may be cut into, in bytes; SmartOS' own instances have 8 KiB. */
export const VOLUME_BLOCK_SIZES = [4096, 8192, 16384, 32768, 65536, 131072] as const

export type Zvol = {
  dataset: string
  /** The raw device: a hypervisor writes past the block cache. */
  device: string
}

/** Name of the snapshot that becomes an image. */
const SNAPSHOT = 'final'

/** bhyve lets go of its disk some seconds after it has ended. */
const DESTROY = { attempts: 20, pauseMs: 1000 }

/** An ordinary user has the profile Primary Administrator (see check-host). */
const zfs = (...words: string[]) => [
  ...(process.getuid?.() === 0 ? [] : ['pfexec']),
  'zfs',
  ...words,
]

/**
 * Make a sparse volume below the zone's own dataset, with a name that no other build has; it is destroyed
 * at the end, whatever the end is.
 *
 * @param parent dataset, as in `zones/<zone>/data`
 * @throws {BuildError} with the words of zfs
 */
export async function makeZvol(
  parent: string,
  { bytes, blockSize }: { bytes: number; blockSize: number },
  scope: Scope,
): Promise<Zvol> {
  const dataset = `${parent}/${randomUUID()}`
  const options = ['-s', '-V', String(bytes), '-o', `volblocksize=${blockSize}`]
  scope.defer(`Destroy ${dataset}`, async () => {
    if (!session.keep) await destroyZvol(dataset)
  })
  await $`${zfs('create', ...options, dataset)}`
  return { dataset, device: `/dev/zvol/rdsk/${dataset}` }
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

/**
 * The send stream of the volume as it is now.
 *
 * @throws {BuildError} with the words of zfs, when it ends with anything but success
 */
export async function* sendZvol({ dataset }: Zvol): AsyncGenerator<Buffer> {
  const snapshot = `${dataset}@${SNAPSHOT}`
  await $`${zfs('snapshot', snapshot)}`
  const [program, ...words] = zfs('send', snapshot)
  if (session.dryRun) return act(`read what ${[program, ...words].join(' ')} writes`, () => {})
  // Not by lib/cli/run.ts, which takes output for text.
  const child = spawn(program!, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: stopSignal(),
    killSignal: 'SIGTERM',
  })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data))
  const ended = new Promise<string | undefined>((done) => {
    child.on('error', ({ message }) => done(message))
    child.on('close', (status, signal) =>
      done(status === 0 ? undefined : (signal ?? `status ${status}`)),
    )
  })
  let whole = false
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) yield piece
    whole = true
  } finally {
    if (!whole) child.kill()
  }
  const how = await ended
  stopSignal().throwIfAborted()
  if (how === undefined) return
  throw new BuildError(
    `Cannot send ${snapshot}: zfs ended with ${how}${said.trim() && `: ${said.trim()}`}`,
  )
}
