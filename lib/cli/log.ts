/**
 * What an operator reads: everything here goes to standard error, results go to standard output.
 *
 * On a terminal the step that runs is a live line, redrawn in place; other lines are printed above
 * it. Elsewhere (CI, a file) there are only plain lines.
 */
import { emit } from './events.ts'
import { harmless } from './harmless.ts'
import { redact } from './redact.ts'
import { session } from './session.ts'

let live = ''
let redraw: NodeJS.Timeout | undefined

const terminal = () => process.stderr.isTTY === true

function write(text: string) {
  process.stderr.write(text)
}

/** Print a line, keeping the live line below it. */
export function say(text: string): void {
  const line = harmless(redact(text))
  if (live && terminal()) write(`\r\x1b[K${line}\n${live}`)
  else write(`${line}\n`)
}

/**
 * Show `line()` as the live line, redrawn twice a second; undefined removes it. Without a terminal
 * nothing is drawn.
 */
export function setLive(line: (() => string) | undefined): void {
  clearInterval(redraw)
  if (!terminal()) return
  const draw = () => {
    const width = process.stderr.columns || 80
    live = line ? harmless(redact(line()).replaceAll('\n', ' ')).slice(0, width - 1) : ''
    write(`\r\x1b[K${live}`)
  }
  draw()
  // Not kept alive by the drawing alone: a command that is done may end.
  if (line) redraw = setInterval(draw, 500).unref()
}

/** A line that a program printed, shown under --verbose as a comment so that a log stays pasteable. */
export function verboseOutput(line: string): void {
  say(`#  ${line}`)
}

export const log = {
  info: (line: string) => say(session.verbose || session.dryRun ? `# ${line}` : line),
  warn(line: string) {
    say(`Warning: ${line}`)
    emit({ event: 'warning', message: line })
  },
  /** A command as it would be typed; `at` prints the time before it, as a comment. */
  command(text: string, at?: Date) {
    if (at) say(`# ${at.toISOString()}`)
    say(text)
  },
}
