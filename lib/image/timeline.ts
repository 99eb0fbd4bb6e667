/** The steps of a build as a picture: a bar for each from its begin to its end, and its share of CPU time. */
import type { Timing } from '../cli/progress.ts'
import { escapeHtml } from './html.ts'

/** In units of the picture, which is as wide as the page. */
const WIDTH = 1000
const LABELS = 190
const NUMBERS = 150
const ROW = 26

/** Steps of the axis that read well, in seconds. */
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]

/** `75 s`, `12 min`, `1 h 5 min` */
export function duration(seconds: number): string {
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  const rest = Math.round(seconds - 60 * minutes)
  if (minutes < 60) return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/**
 * The picture, as SVG to be put into a page.
 *
 * @param total seconds of all; steps need not fill them
 */
export function timelineSvg(timings: readonly Timing[], total: number): string {
  const end = Math.max(total, 0.1, ...timings.map(({ at, seconds }) => at + seconds))
  const room = WIDTH - LABELS - NUMBERS
  const x = (seconds: number) => LABELS + (room * seconds) / end
  const height = timings.length * ROW + 30
  const every = TICKS.find((tick) => end / tick <= 8) ?? 3600
  const ticks = Array.from({ length: Math.floor(end / every) + 1 }, (_, i) => i * every)
  const n = (value: number) => value.toFixed(1)
  const axis = ticks.map(
    (tick) =>
      `<line x1="${n(x(tick))}" x2="${n(x(tick))}" y1="0" y2="${height - 24}"/>` +
      `<text class="dim" x="${n(x(tick))}" y="${height - 8}" text-anchor="middle">${tick === 0 ? '0' : duration(tick)}</text>`,
  )
  const rows = timings.map(({ step, at, seconds, cpuSeconds }, i) => {
    const y = i * ROW + 5
    const width = Math.max(2, x(at + seconds) - x(at))
    // More processors than one may be at work: then the share is all of it.
    const share = seconds > 0 ? Math.min(1, cpuSeconds / seconds) : 0
    return (
      `<g class="step"><title>${escapeHtml(`${step}: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`)}</title>` +
      `<text x="${LABELS - 10}" y="${y + 13}" text-anchor="end">${escapeHtml(step)}</text>` +
      `<rect class="bar" x="${n(x(at))}" y="${y}" width="${n(width)}" height="${ROW - 9}" rx="2"/>` +
      `<rect class="cpu" x="${n(x(at))}" y="${y + ROW - 14}" width="${n(width * share)}" height="5"/>` +
      `<text class="dim" x="${n(x(at) + width + 6)}" y="${y + 13}">${duration(seconds)}, CPU ${duration(cpuSeconds)}</text></g>`
    )
  })
  return `<svg id="timeline" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Steps of the build over time">
${axis.join('\n')}
${rows.join('\n')}
</svg>`
}
