/**
 * The frame of every command: options, scope, signals, the closing line and the exit status.
 *
 * The body gets the parsed options; what it returns is printed by it, on standard output. Errors
 * that an operator can act on print as one line (two with a hint), others with their stack. Only
 * this file decides the exit status.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, errorCode, explain, Interrupted } from './errors.ts'
import { closeEvents, emit, openEvents } from './events.ts'
import { say, setLive } from './log.ts'
import { type Command, type Options, type OptionTable, parseArguments, usage } from './options.ts'
import { stopAll } from './run.ts'
import { Scope } from './scope.ts'
import { interrupt, session, stopSignal } from './session.ts'

export type Body<T extends OptionTable> = (context: {
  options: Options<T>
  words: string[]
  /** What followed `--`. */
  rest: string[]
  scope: Scope
}) => Promise<ExitStatus>

/** Undefined: all went well. Otherwise a command's own way to say what it found, which is no failure. */
export type ExitStatus = number | void

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Run a command and set the exit status of this process. */
export async function main<T extends OptionTable>(command: Command<T>, body: Body<T>) {
  const scope = new Scope()
  process.exitCode = 1 // until the end is reached: Node ends by itself when nothing is awaited
  for (const signal of SIGNALS) process.on(signal, () => onSignal(signal))
  // A bug of ours, in a callback that nobody awaits: what was made is unmade all the same.
  process.once('uncaughtException', interrupt)
  process.stdout.on('error', onOutputError)
  process.stderr.on('error', () => {})
  let failure: unknown
  let status = 1
  try {
    const { options, words, rest } = parseArguments(command, process.argv.slice(2))
    const wanted = options as Record<string, unknown>
    if (wanted['help']) {
      process.stdout.write(usage(command))
      process.exitCode = 0
      ended = true
      return
    }
    session.verbose =
      wanted['verbose'] === true || /^(1|true|yes)$/.test(process.env['TRACE'] ?? '')
    session.dryRun = wanted['dry-run'] === true
    session.keep = wanted['keep'] === true
    const events = wanted['events']
    if (typeof events === 'string' && !session.dryRun) {
      openEvents(events)
      emit({ event: 'start', command: command.name, words })
    }
    status = (await interruptible(body({ options, words, rest, scope }))) ?? 0
  } catch (error) {
    failure = stopSignal().aborted ? stopSignal().reason : error
  }
  setLive(undefined)
  if (failure) await stopAll()
  await scope.close(failure !== undefined)
  failure ??= outputFault
  if (failure) {
    if (!isGone(failure)) report(failure)
    endEvents(exitStatus(failure), failure)
    process.exit(exitStatus(failure)) // a body that did not let go may hold timers and sockets
  }
  endEvents(status)
  process.exitCode = status
  ended = true
}

/** What keeps the result from being printed. */
let outputFault: BuildError | undefined
/** Nothing more is to be done, but what was printed may still be on its way. */
let ended = false

/** The reader of our output went away (`| head`): nobody is there to be told. */
const isGone = (error: unknown) =>
  error instanceof Error && errorCode(error.cause) === 'EPIPE' && error === outputFault

/** The work is ended, and undone, as by an interruption: whoever waits for the result does not get it. */
function onOutputError(error: Error) {
  if (outputFault) return
  const fault = explain('write the result to standard output', error)
  outputFault =
    fault instanceof BuildError ? fault : new BuildError(error.message, { cause: error })
  if (!ended) return interrupt(outputFault)
  if (!isGone(outputFault)) report(outputFault)
  process.exit(1)
}

function endEvents(status: number, failure?: unknown) {
  if (failure !== undefined) {
    const message = failure instanceof Error ? failure.message : String(failure)
    const hint = failure instanceof BuildError ? failure.hint : undefined
    emit({ event: 'error', message, ...(hint !== undefined && { hint }) })
  }
  emit({ event: 'end', status, seconds: process.uptime() })
  closeEvents()
}

/** How long a body may take to let go after an interruption, in milliseconds. */
const LET_GO_MS = 5000

/** The body's outcome, or the interruption: once nothing runs any more and the body has let go. */
async function interruptible(work: Promise<ExitStatus>): Promise<ExitStatus> {
  const stop = stopSignal()
  const stopped = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason))
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    // The undos must not race with a body that still writes.
    if (stop.aborted) {
      await stopAll()
      const limit = new AbortController()
      const tooLong = delay(LET_GO_MS, undefined, { signal: limit.signal })
      await Promise.race([work, tooLong]).catch(() => {})
      tooLong.catch(() => {})
      limit.abort()
    }
  }
}

let signals = 0

function onSignal(signal: NodeJS.Signals) {
  signals += 1
  if (signals === 1) {
    say(`${signal}: stopping and cleaning up`)
    interrupt(new Interrupted(`Interrupted by ${signal}`))
  } else if (signals === 2) say('Still cleaning up; once more leaves things as they are')
  else process.exit(130)
}

function report(error: unknown) {
  if (error instanceof BuildError) {
    say(`Error: ${error.message}`)
    if (error.hint) say(`  ${error.hint}`)
    if (session.verbose && error.cause instanceof Error) say(`# ${error.cause.stack}`)
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    say(`Error: this is a bug in hybrid-images, please report it\n${text}`)
  }
}

function exitStatus(error: unknown): number {
  return error instanceof BuildError ? error.exitStatus : 1
}
