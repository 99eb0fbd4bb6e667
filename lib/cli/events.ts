/**
 * What a command does, for programs that follow it: one JSON object for each line, written at once, to a file
 * (or a FIFO) or to a descriptor that the caller has opened. README.md, "Events", has the list.
 *
 * Several commands may write to one file: each line is one write at its end, and says whose it is.
 */
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeSync,
} from 'node:fs'
import { BuildError, errorCode, explain } from './errors.ts'
import type { OptionTable } from './options.ts'
import { redact } from './redact.ts'

export const eventsOption = {
  events: {
    arg: 'FILE|FD',
    help: 'write what happens there, a JSON object for each line: steps, progress, warnings, result',
  },
} as const satisfies OptionTable

export type Event =
  | { event: 'start'; command: string; words: readonly string[] }
  | { event: 'step'; step: string }
  | { event: 'progress'; step: string; seconds: number; fraction?: number; note?: string }
  | { event: 'step-end'; step: string; ok: boolean; seconds: number; cpuSeconds: number }
  | { event: 'warning'; message: string }
  | { event: 'result'; result: unknown }
  | { event: 'error'; message: string; hint?: string }
  | { event: 'end'; status: number; seconds: number }

/** Named by who started this command for one of many builds. */
const BUILD = 'HYBRID_IMAGES_BUILD'

/** How long a full pipe is waited for, in milliseconds, and how long at once. */
const PATIENCE = 5000
const NAP = 10

let descriptor: number | undefined
let ours = false

/** Whether somebody listens. */
export const eventsWanted = (): boolean => descriptor !== undefined

/** What a descriptor is, in the kernel's words (`pipe:[4711]`), and whether it is for reading alone. */
function describe(number: number | string): { what: string; reads: boolean } | undefined {
  try {
    const what = readlinkSync(`/proc/self/fd/${number}`)
    const info = readFileSync(`/proc/self/fdinfo/${number}`, 'utf8')
    const flags = Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(info)?.[1] ?? '', 8)
    return { what, reads: (flags & 3) === constants.O_RDONLY }
  } catch {
    return undefined // not open, or no Linux
  }
}

/**
 * Is it one of Node's own, whose loop would take events for its own? Those have no file, or are a pipe of which this
 * process has both ends. Source: proc(5), /proc/PID/fd and fdinfo.
 */
function isNodes(number: number): boolean {
  const found = describe(number)
  if (found === undefined) return false
  if (!found.what.startsWith('pipe:')) return found.what.startsWith('anon_inode:')
  return readdirSync('/proc/self/fd').some((other) => {
    const one = describe(other)
    return one?.what === found.what && one.reads
  })
}

/**
 * A FIFO is not waited for until somebody reads it: no signal would be heard. As one that is open for both ways it is
 * there at once, and keeps what is written until the reader comes. Source: fifo(7).
 */
function openFile(where: string): number {
  const isFifo = statSync(where, { throwIfNoEntry: false })?.isFIFO() ?? false
  return openSync(where, isFifo ? constants.O_RDWR | constants.O_NONBLOCK : 'a')
}

/**
 * From now on events go there.
 *
 * @param where a file, which is added to, or the number of an open descriptor
 * @throws {BuildError} when it can't be written to
 */
export function openEvents(where: string): void {
  const number = /^\d+$/.test(where) ? Number(where) : undefined
  try {
    descriptor = number ?? openFile(where)
    ours = number === undefined
    // Asked now: hours later it would be too late.
    if (number !== undefined) {
      if (isNodes(number)) throw Object.assign(new Error('of Node'), { code: 'EBADF' })
      writeSync(number, '')
    }
  } catch (error) {
    descriptor = undefined
    if (['EBADF', 'EINVAL', 'ERR_OUT_OF_RANGE'].includes(errorCode(error) ?? '')) {
      throw new BuildError(`Cannot write events to descriptor ${where}: it is not open`, {
        hint: 'Open it in the shell: ... --events 3 3>events.jsonl',
      })
    }
    throw explain(`write events to "${where}"`, error)
  }
}

/** Write one, if somebody listens; a reader that went away is no reason to end a build. */
export function emit(event: Event): void {
  if (descriptor === undefined) return
  const build = process.env[BUILD]
  const line = { time: new Date().toISOString(), ...(build && { build }), ...event }
  let rest = Buffer.from(`${redact(JSON.stringify(line))}\n`)
  const nap = new Int32Array(new SharedArrayBuffer(4))
  try {
    for (let waited = 0; rest.length > 0;) {
      try {
        rest = rest.subarray(writeSync(descriptor, rest))
      } catch (error) {
        // A pipe that is full: its reader is slow, or stopped.
        if (errorCode(error) !== 'EAGAIN' || waited > PATIENCE) throw error
        Atomics.wait(nap, 0, 0, NAP)
        waited += NAP
      }
    }
  } catch {
    descriptor = undefined
  }
}

/** Nothing more will come. */
export function closeEvents(): void {
  if (descriptor !== undefined && ours) closeSync(descriptor)
  descriptor = undefined
}

/** Of a program that gets one descriptor beyond the usual three. */
const INHERITED = 3

/**
 * Words, environment and descriptor for a command that is to write to the same place: it inherits what is open,
 * whatever that is.
 *
 * @param build name of what it builds, which its events then have
 */
export function sharedEvents(build: string) {
  if (descriptor === undefined) return { words: [], options: {} }
  return {
    words: ['--events', String(INHERITED)],
    options: { env: { [BUILD]: build }, inherit: descriptor },
  }
}
