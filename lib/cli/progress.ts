/**
 * Steps of a command, each with its title, progress and seconds.
 *
 * On a terminal: a live line `Install packages  42 %  31 s  unpacking`, then `Install packages: 74 s`.
 * Elsewhere: a line at the start, one every 30 s so that a silent step does not look dead, and one
 * at the end.
 */
import { cpuSeconds } from './cpu-time.ts'
import { emit, eventsWanted } from './events.ts'
import { log, setLive } from './log.ts'
import { session } from './session.ts'

/** Tells how far a step is: `fraction` from 0 to 1 where it is known, `note` what it does now. */
export type Report = (fraction: number | undefined, note?: string) => void

const HEARTBEAT_MS = 30_000
/** Between two events of one step's progress. */
const EVENT_MS = 1000
const elapsed = (from: number) => (performance.now() - from) / 1000
const seconds = (from: number) => `${Math.round(elapsed(from))} s`

export type Timing = {
  step: string
  /** Seconds from the start of this process to the step's. */
  at: number
  seconds: number
  /** Of this process and every program that it waited for. */
  cpuSeconds: number
}

/** What each step took. */
export const timings: Timing[] = []

/** Run one step of a command and show it; its error passes through. */
export async function step<T>(title: string, work: (report: Report) => Promise<T>): Promise<T> {
  const started = performance.now()
  const at = process.uptime()
  const cpuBefore = cpuSeconds()
  let fraction: number | undefined
  let note = ''
  const line = () =>
    [title, fraction === undefined ? '' : `${Math.floor(fraction * 100)} %`, seconds(started), note]
      .filter(Boolean)
      .join('  ')
  let told = started
  const report: Report = (newFraction, newNote) => {
    fraction = newFraction === undefined ? undefined : Math.min(1, Math.max(0, newFraction))
    if (newNote !== undefined) note = newNote
    if (!eventsWanted() || performance.now() - told < EVENT_MS) return
    told = performance.now()
    emit({
      ...{ event: 'progress', step: title, seconds: elapsed(started) },
      ...(fraction !== undefined && { fraction }),
      ...(note !== '' && { note }),
    })
  }
  if (session.dryRun) {
    log.info(title)
    return work(report)
  }
  if (!process.stderr.isTTY) log.info(title)
  setLive(line)
  emit({ event: 'step', step: title })
  const ended = (ok: boolean) => {
    const cpu = Math.round(1000 * (cpuSeconds() - cpuBefore)) / 1000
    const spent = { seconds: elapsed(started), cpuSeconds: cpu }
    emit({ event: 'step-end', step: title, ok, ...spent })
    return spent
  }
  const heartbeat = setInterval(
    () => !process.stderr.isTTY && log.info(`${line()} ...`),
    HEARTBEAT_MS,
  )
  try {
    const result = await work(report)
    setLive(undefined)
    log.info(`${title}: ${seconds(started)}`)
    timings.push({ step: title, at, ...ended(true) })
    return result
  } catch (error) {
    setLive(undefined)
    log.info(`${title}: failed after ${seconds(started)}`)
    ended(false)
    throw error
  } finally {
    clearInterval(heartbeat)
  }
}
