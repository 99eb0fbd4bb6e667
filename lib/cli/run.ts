/**
 * The one door to other programs, and the one to changes made by this process itself.
 *
 *   await $`sfdisk --json ${disk}`                       words are quoted, arrays are many words
 *   await $({ input: table })`sfdisk ${disk}`            options first
 *   const { exitCode } = await $({ nothrow: true })`…`   a non-zero exit that is looked at
 *   await act(`write ${path}`, () => writeFile(path, text))
 *
 * A program gets no standard input unless it is given one, the C locale (its messages may be read
 * by us), and a process group of its own, so that everything it started can be stopped with it. A
 * failure is a BuildError with the whole command and its last words. With --verbose each command
 * is printed ready to paste; with --dry-run it is printed and not run, and `act` prints likewise.
 */
import { $ as zx, type ProcessOutput, type ProcessPromise } from 'zx/core' // half as long to load as all of it
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, errorCode, explain } from './errors.ts'
import { log, verboseOutput } from './log.ts'
import { session, stopSignal } from './session.ts'
import { shellCommand, shellWord } from './shell-words.ts'

export type RunOptions = {
  input?: string
  cwd?: string
  /** Added to the environment. */
  env?: Record<string, string>
  /** It gets no more of the operator's environment than it takes to find programs, files and proxies. */
  bare?: boolean
  /** Called with each line that the program prints on either stream. */
  onLine?: (line: string) => void
  /** Resolve on any exit status. */
  nothrow?: boolean
  /** Run even with --dry-run: it only reads. */
  readOnly?: boolean
  /** Run even after the operator has interrupted: it is part of an undo. */
  undo?: boolean
  /** Of the files that the program makes, in octal: `022`; undefined: the operator's. */
  umask?: string
  /** A descriptor of ours that is the program's fourth, number 3. */
  inherit?: number
}

export type Output = {
  stdout: string
  stderr: string
  exitCode: number
  /** What killed it, where something did. */
  signal?: string
}
type Word = string | number | readonly (string | number)[]

export type Door = {
  (pieces: TemplateStringsArray, ...words: Word[]): Promise<Output>
  (options: RunOptions): Door
}

/** Lines of a failed program's output that go into the error. */
const LAST_WORDS = 3
/** From the polite signal to SIGKILL, in milliseconds. */
const GRACE_MS = 5000

const running = new Set<ProcessPromise>()

function door(options: RunOptions): Door {
  const enter = (first: TemplateStringsArray | RunOptions, ...words: Word[]) =>
    Array.isArray(first) && 'raw' in first
      ? start(options, first as unknown as TemplateStringsArray, words)
      : door({ ...options, ...(first as RunOptions) })
  return enter as Door
}

/** Run a program; see the file comment. @throws {BuildError} when it can't start or exits non-zero */
export const $: Door = door({})

async function start(options: RunOptions, pieces: TemplateStringsArray, words: Word[]) {
  const command = templateWords(pieces, words)
  const shown = shellCommand({
    words: command,
    ...(options.env && { env: options.env }),
    ...(options.input !== undefined && { input: options.input }),
  })
  const skip = session.dryRun && !options.readOnly
  if (skip) log.command(shown)
  else if (session.verbose) log.command(shown, new Date())
  if (skip) return { stdout: '', stderr: '', exitCode: 0 }
  if (!options.undo) stopSignal().throwIfAborted()

  const child = unlocated(
    () =>
      zx({
        detached: true, // a process group of its own
        quiet: true,
        verbose: false,
        nothrow: true,
        // No shell between us and the program.
        prefix: options.umask === undefined ? 'exec ' : `umask ${options.umask}; exec `,
        quote: shellWord,
        env: { ...inherited(options.bare), LC_ALL: 'C', ...options.env },
        ...(options.cwd !== undefined && { cwd: options.cwd }),
        // zx would give an inherited terminal otherwise, and a program may then ask a question.
        stdio: [
          ...([options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] as const),
          ...(options.inherit === undefined ? [] : [options.inherit]),
        ],
        ...(options.input !== undefined && { input: options.input }),
      })`${command}`,
  )
  // Without its streams it has not started: its words are too long, say, or this process has too many files open.
  if ((child.stdout as unknown) === undefined) {
    const { message } = await child
    const code = /\b(E[A-Z0-9]{2,})\b/.exec(message)?.[1] ?? 'no reason'
    throw new BuildError(`Cannot start ${command[0]}: the system says ${code}`, {
      hint:
        code === 'EMFILE'
          ? 'This process may open too few files: raise the limit (ulimit -n)'
          : undefined,
    })
  }
  running.add(child)
  // A program may end without reading what it was given; its exit status tells how it went.
  if (options.input !== undefined) child.stdin.on('error', () => {})
  const onLine = (line: string) => {
    options.onLine?.(line)
    if (session.verbose) verboseOutput(line)
  }
  eachLine(child.stdout, onLine)
  eachLine(child.stderr, onLine)
  let output: ProcessOutput
  try {
    output = await child
  } finally {
    running.delete(child)
  }
  if (!options.undo) stopSignal().throwIfAborted()
  const { stdout, stderr } = output
  const exitCode = output.exitCode ?? 1
  if (exitCode !== 0 && !options.nothrow) throw failure(command, output)
  return { stdout, stderr, exitCode, ...(output.signal && { signal: output.signal }) }
}

/** By which programs take options that nobody here has given: of tar, zstd, xz, mtools, and what reads POSIX's. */
const OPTIONS = /^(TAR_OPTIONS|ZSTD_(CLEVEL|NBTHREADS)|XZ_(OPT|DEFAULTS)|MTOOLSRC|POSIXLY_CORRECT)$/
const BARE = /^(PATH|HOME|USER|LOGNAME|TMPDIR|LD_LIBRARY_PATH|(https?|ftp|all|no)_proxy)$/i

/** What a program sees of the operator's environment. */
function inherited(bare = false): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => (bare ? BARE.test(name) : !OPTIONS.test(name))),
  )
}

/** zx asks for the place of each call, which is shown nowhere: with source maps that takes 30 ms. */
function unlocated<T>(call: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return call()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** The words of a template: pieces split at blanks, values never split. */
function templateWords(pieces: TemplateStringsArray, values: Word[]): string[] {
  const result: string[] = []
  let open: string | undefined // a word that the next piece or value continues
  const close = () => {
    if (open !== undefined) result.push(open)
    open = undefined
  }
  pieces.forEach((piece, i) => {
    piece.split(/(\s+)/).forEach((part) => {
      if (/^\s+$/.test(part)) close()
      else if (part !== '') open = (open ?? '') + part
    })
    if (i >= values.length) return
    const value = values[i]!
    if (Array.isArray(value)) {
      close()
      result.push(...value.map(String))
    } else open = (open ?? '') + String(value)
  })
  close()
  return result
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void) {
  let rest = ''
  stream.on('data', (data: Buffer | string) => {
    // Programs redraw progress with a bare carriage return; each drawing is a line here.
    const lines = (rest + data).split(/\r?\n|\r/)
    rest = lines.pop()!
    lines.forEach(onLine)
  })
  stream.on('end', () => rest && onLine(rest))
}

function failure(command: string[], output: ProcessOutput): BuildError {
  const program = command[0]!
  if (output.exitCode === 127 && /not found/.test(output.stderr)) {
    return new BuildError(`Cannot run ${program}: it is not in $PATH`)
  }
  const said = (output.stderr.trim() || output.stdout.trim()).split('\n').slice(-LAST_WORDS)
  const how = output.signal ? `was killed by ${output.signal}` : `exited ${output.exitCode}`
  const noSpace = /No space left on device|not enough free disk space/i.test(output.stderr)
  return new BuildError(`${program} ${how}: ${said.map((line) => line.trim()).join(' | ')}`, {
    hint: noSpace
      ? 'The disk is full: free some space, or choose other places (for the result, or by TMPDIR)'
      : `The command was: ${shellCommand({ words: command })}`,
  })
}

/**
 * A change that this process makes itself. With --dry-run it is printed as a comment and `dry` is
 * the result. System errors come back as `Cannot <says>: <reason>`.
 */
export async function act<T = void>(says: string, change: () => Promise<T> | T, dry?: T) {
  if (session.dryRun) {
    log.command(`# ${says}`)
    return dry as T
  }
  stopSignal().throwIfAborted()
  if (session.verbose) log.command(`# ${says}`, new Date())
  try {
    return await change()
  } catch (error) {
    throw explain(says, error)
  }
}

/** Stop every program that is running, with everything it started; resolves when none is left. */
export async function stopAll(): Promise<void> {
  const groups = [...running].flatMap(({ pid }) => (pid === undefined ? [] : [pid]))
  signalGroups(groups, 'SIGTERM')
  const deadline = performance.now() + GRACE_MS
  while (groups.some(groupAlive) && performance.now() < deadline) await delay(50)
  signalGroups(groups, 'SIGKILL') // what was started while we looked, too
  while (groups.some(groupAlive) && performance.now() < deadline + GRACE_MS) await delay(20)
}

function signalGroups(groups: number[], signal: NodeJS.Signals) {
  for (const group of groups) {
    try {
      process.kill(-group, signal)
    } catch (error) {
      // It is gone, or has become another user's.
      if (!['ESRCH', 'EPERM'].includes(errorCode(error) ?? '')) throw error
    }
  }
}

/** Does any process of a group still run? One that has ended may stay on for seconds, until its new parent looks. */
export function groupAlive(group: number): boolean {
  try {
    process.kill(-group, 0)
  } catch {
    return false
  }
  const states = process.platform === 'linux' ? statesOf(group) : []
  return states.length === 0 || states.some((state) => state !== 'Z' && state !== 'X')
}

/** States of a group's processes, by one letter each. Source: proc(5), /proc/PID/stat. */
function statesOf(group: number): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      // The name of a program may hold anything, blanks and brackets too.
      const [, state, , itsGroup] = /.*\) (\S) (\d+) (\d+)/s.exec(
        readFileSync(`/proc/${name}/stat`, 'latin1'),
      )!
      return Number(itsGroup) === group ? [state!] : []
    } catch {
      return [] // it is gone
    }
  })
}
