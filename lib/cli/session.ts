/**
 * What holds for the whole run of a command: set once by main(), read by the kit.
 *
 * `signal` is aborted when the operator interrupts; long work in this process looks at it.
 */
export const session = {
  /** Print each command, ready to paste, and what it prints. */
  verbose: false,
  /** Print each command and do nothing. */
  dryRun: false,
  /** Leave temporary files for a look. */
  keep: false,
  interruption: new AbortController(),
}

/** Aborted with an `Interrupted` error when the operator wants to stop. */
export function stopSignal(): AbortSignal {
  return session.interruption.signal
}

/** Ask everything to stop; `reason` is what the command will end with. */
export function interrupt(reason: Error): void {
  session.interruption.abort(reason)
}
