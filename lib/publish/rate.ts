/** Progress of a transfer: how much of it went, and how fast it was in the last seconds. */
import type { Report } from '../cli/progress.ts'

const WINDOW_MS = 5000
const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(1)

/** `25.1 MiB/s` */
export function rateText(bytes: number, ms: number): string {
  return `${mib((bytes * 1000) / Math.max(1, ms))} MiB/s`
}

/** Tells a step how far a transfer of so many bytes is: `12.5 of 300.0 MiB, 25.1 MiB/s`. */
export function transferReport(
  total: number,
  report: Report,
  now: () => number = Date.now,
): (sent: number) => void {
  const marks = [{ at: now(), sent: 0 }]
  return (sent) => {
    const at = now()
    // The first mark is the newest that is older than the window: the rate is that of at least so long.
    while (marks.length > 1 && at - marks[1]!.at >= WINDOW_MS) marks.shift()
    if (at - marks.at(-1)!.at >= 200) marks.push({ at, sent })
    const rate = rateText(sent - marks[0]!.sent, at - marks[0]!.at)
    report(total === 0 ? 1 : sent / total, `${mib(sent)} of ${mib(total)} MiB, ${rate}`)
  }
}
