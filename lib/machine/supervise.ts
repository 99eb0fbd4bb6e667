/**
 * Watches an installation on the serial console: where it is, and everything by which it fails, as
 * soon as it shows. An installation that went well powers its machine off, with all markers `ok`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { stopSignal } from '../cli/session.ts'
import type { Limits } from './console.ts'
import { checkMarkers, LISTING, readMarkers } from './markers.ts'
import type { Machine } from './spec.ts'

export type InstallerPhase = {
  title: string
  /** Shown by the console when the phase begins. */
  begins: RegExp
}

/** What went wrong inside, in more words than a marker has. */
export type Explanation = { what: string; hint: string | undefined }

export type Supervision = {
  /** In the order in which they come; one may be missing. */
  phases: readonly InstallerPhase[]
  /** Names of the markers that a good installation prints; undefined: any, as long as it says `ok`. */
  markers: readonly string[] | undefined
  /** What the installer shows when it waits for somebody to answer, where that is known. */
  question?: RegExp
  /** Lines in which the installer says what went wrong. */
  complaint: RegExp
  /** Reads what the console says of a failure, where it can. */
  explain?: (console: string) => Explanation | undefined
  /** For each phase. */
  limits: Limits
  /** For all of it. */
  totalSeconds?: number
  /** What the console said before the guest rebooted, if it did. */
  earlier?: string
  /** A reboot is no end: another machine goes on. */
  goesOn?: boolean
  /** Called with every line of the console. */
  onLine?: (line: string) => void
}

const PANIC = /Kernel panic - not syncing: .*|end Kernel panic.*/
const WATCH_MS = 250

/** The title of what was asked last: a line with dashes below it. */
const headingOf = (text: string) => [...text.matchAll(/^(\S.*)\n-{4,}$/gm)].at(-1)?.[1]

/**
 * Wait for the end of an installation.
 *
 * @returns the console's text
 * @throws {BuildError} when it fails, with the phase and the installer's own words
 */
export async function superviseInstaller(
  machine: Machine,
  watch: Supervision,
  report: Report,
): Promise<string> {
  const { console } = machine
  let phase = -1
  const started = performance.now()
  let phaseStarted = started
  let lastGrowth = performance.now()
  let seen = 0
  const title = () => watch.phases[phase]?.title ?? 'Start'

  const failed = (how: string, hint?: string) => {
    const where = watch.phases.length > 0 ? ` in phase "${title()}"` : ''
    return new BuildError(`Installation failed${where}: ${how}`, { hint })
  }
  const failure = (what: string, hint?: string, words?: string) => {
    const complaints = console.text
      .split('\n')
      .filter((line) => watch.complaint.test(line) && !LISTING.test(line)) // libgpg-error
    const said = words ?? complaints.at(-1)?.trim()
    const last = console.lastLines(3).join(' | ')
    const tail = said ? `: ${said}` : last ? `; last on the console: ${last}` : ''
    return failed(`${what}${tail}`, hint)
  }
  const look = (text: string) => {
    for (const line of text.replace(/\n$/, '').split('\n')) {
      watch.onLine?.(line)
      const next = watch.phases.findIndex(({ begins }, i) => i > phase && begins.test(line))
      if (next > phase) {
        phase = next
        phaseStarted = performance.now()
        report(next / watch.phases.length, title())
      }
    }
    const bad = readMarkers(text).find(({ value }) => value !== 'ok')
    if (bad) {
      const found = watch.explain?.(console.text)
      if (found) throw failed(found.what, found.hint)
      throw failure(`it says JOYENT_STATUS_${bad.name}=${bad.value}`)
    }
    const panic = PANIC.exec(text)
    if (panic) throw failure(panic[0])
  }

  report(0, title())
  for (;;) {
    stopSignal().throwIfAborted()
    // What came before the end is looked at after it: asked first, it cannot be missed.
    const over = !machine.running
    const { text } = console
    // Whole lines only; the rest is looked at as a question, which does not end its line.
    const whole = text.lastIndexOf('\n') + 1
    if (text.length > seen) {
      lastGrowth = performance.now()
      if (whole > seen) {
        look(text.slice(seen, whole))
        seen = whole
      }
    }
    if (over) break
    if (machine.diskError !== undefined) {
      throw failure(
        `the disk can't be written: ${machine.diskError}`,
        'Free some space: --output, TMPDIR',
      )
    }
    if (watch.question?.test(text.slice(-500))) {
      throw failure(
        'the installer asks a question',
        'Its answers lack one: the serial log shows which',
        headingOf(text.slice(-2000)),
      )
    }
    const seconds = (since: number) => (performance.now() - since) / 1000
    const { limits } = watch
    if (seconds(phaseStarted) > limits.seconds) throw failure(`it took over ${limits.seconds} s`)
    if (watch.totalSeconds !== undefined && seconds(started) > watch.totalSeconds) {
      throw failure(`the installation took over ${watch.totalSeconds} s`, '--timeout allows more')
    }
    if (seconds(lastGrowth) > limits.silentSeconds) {
      throw failure(`the console was silent for ${limits.silentSeconds} s`)
    }
    await delay(WATCH_MS, undefined, { signal: stopSignal() })
  }
  const { end } = machine
  if (end?.how === 'failed') throw failure(end.says)
  if (end?.how === 'reboot' && watch.goesOn) return console.text
  try {
    if (watch.markers) checkMarkers((watch.earlier ?? '') + console.text, watch.markers)
  } catch (error) {
    throw failure((error as Error).message.replace(/^Installation failed: /, ''))
  }
  return console.text
}
