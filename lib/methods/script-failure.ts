/**
 * Scripts in a new system: the lines on its console by which a failed one is known, and what it said last.
 * An installer that shows its log there may put words of its own in front of each line.
 */
import type { Explanation } from '../machine/supervise.ts'

/** Lines of a failed script that are shown. */
export const LAST_LINES = 20

/** A script's name as it stands in these lines. */
export const scriptLabel = (name: string) => name.replaceAll(/[^\w.-]/g, '_')

/** What a shell says before a script, and behind one that failed. */
export const beginLine = (label: string) => `hybrid-images: ${label} begins`
export const endLine = (label: string, status: string) =>
  `hybrid-images: ${label} exited with status ${status}`

const END = /hybrid-images: (?<label>[\w.-]+) exited with status (?<status>\d+)$/

/** Words by which a line says more than others. */
const COMPLAINT = /^(error:|E:)/

/** The last lines, indented as a hint's further lines are. */
export const lastLines = (lines: readonly string[]): string =>
  ['Its last lines:', ...lines.slice(-LAST_LINES)].join('\n    ')

const FULL = /No space left on device|not enough free space|don't have enough free space/i

/**
 * What the console says of a script that failed; undefined when none did.
 *
 * @param whenFull what to do about a full disk: the new system's, unless it is made in a directory of this machine
 */
export function explainScript(
  console: string,
  whenFull = '--size gives the new system a larger disk',
): Explanation | undefined {
  const lines = console.split('\n').map((line) => line.trimEnd())
  const end = lines.findLastIndex((line) => END.test(line))
  if (end < 0) return undefined
  const { label = '', status } = END.exec(lines[end]!)!.groups!
  const begin = lines.slice(0, end).findLastIndex((line) => line.endsWith(beginLine(label)))
  const said = lines.slice(begin + 1, end).filter((line) => line.trim() !== '')
  const cause = said.findLast((line) => COMPLAINT.test(line)) ?? said.at(-1)
  const hints = [
    ...(said.some((line) => FULL.test(line)) ? [whenFull] : []),
    ...(said.length > 1 ? [lastLines(said)] : []),
  ]
  return {
    what: `${label} exited with status ${status}${cause === undefined ? '' : `: ${cause.trim()}`}`,
    hint: hints.join('\n  ') || undefined,
  }
}
