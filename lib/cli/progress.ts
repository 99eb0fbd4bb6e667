/**
 * Steps of a command, each with its title, progress and seconds.
 *
 * On a terminal: a live line `Install packages  42 %  31 s  unpacking`, then `Install packages: 74 s`.
 * Elsewhere: a line at the start, one every 30 s so that a silent step does not look dead, and one
 * at the end.
 */
import { cpuSeconds } from './cpu-time.ts'
import { log, setLive } from './log.ts'
import { session } from './session.ts'

/** Tells how far a step is: `fraction` from 0 to 1 where it is known, `note` what it does now. */
export type Report = (fraction: number | undefined, note?: string) => void

const HEARTBEAT_MS = 30_000
const seconds = (from: number) => `${Math.round((Date.now() - from) / 1000)} s`

/** What each step took; CPU seconds count this process and every program that it waited for. */
export const timings: { step: string; seconds: number; cpuSeconds: number }[] = []

/** Run one step of a command and show it; its error passes through. */
export async function step<T>(title: string, work: (report: Report) => Promise<T>): Promise<T> {
  const started = Date.now()
  const cpuBefore = cpuSeconds()
  let fraction: number | undefined
  let note = ''
  const line = () =>
    [title, fraction === undefined ? '' : `${Math.floor(fraction * 100)} %`, seconds(started), note]
      .filter(Boolean)
      .join('  ')
  const report: Report = (newFraction, newNote) => {
    fraction = newFraction === undefined ? undefined : Math.min(1, Math.max(0, newFraction))
    if (newNote !== undefined) note = newNote
  }
  if (session.dryRun) {
    log.info(title)
    return work(report)
  }
  if (!process.stderr.isTTY) log.info(title)
  setLive(line)
  const heartbeat = setInterval(
    () => !process.stderr.isTTY && log.info(`${line()} ...`),
    HEARTBEAT_MS,
  )
  try {
    const result = await work(report)
    setLive(undefined)
    log.info(`${title}: ${seconds(started)}`)
    const cpu = cpuSeconds() - cpuBefore
    timings.push({ step: title, seconds: (Date.now() - started) / 1000, cpuSeconds: cpu })
    return result
  } catch (error) {
    setLive(undefined)
    log.info(`${title}: failed after ${seconds(started)}`)
    throw error
  } finally {
    clearInterval(heartbeat)
  }
}
