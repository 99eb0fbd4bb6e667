/**
 * Errors that an operator can act on.
 *
 * Each carries the exit status of DESIGN.md and, where there is one, a hint: what to do next.
 * `main()` prints them as one line (two with a hint) and no stack; any other error is a bug of
 * ours and prints its stack. Messages start with a capital letter, name the action, quote the
 * value, and end with the state that was found: `Cannot read "a.iso": no such file`.
 */

import { redact } from './redact.ts'

export type ErrorOptions = { hint?: string | undefined; cause?: unknown }

/**
 * The build, or the operation asked for, failed: exit status 1. Passwords in addresses are taken out of it here, as
 * messages go to logs, to tables and to JSON.
 */
export class BuildError extends Error {
  override name = 'BuildError'
  readonly hint: string | undefined
  readonly exitStatus: number = 1

  constructor(message: string, options: ErrorOptions = {}) {
    super(redact(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint && redact(options.hint)
  }
}

/** The command line is wrong: exit status 2, before anything was touched. */
export class UsageError extends BuildError {
  override name = 'UsageError'
  override readonly exitStatus = 2
}

/** This machine lacks something that the work needs: exit status 3. */
export class HostError extends BuildError {
  override name = 'HostError'
  override readonly exitStatus = 3
}

/** The operator asked us to stop (SIGINT, SIGTERM, SIGHUP): exit status 130. */
export class Interrupted extends BuildError {
  override name = 'Interrupted'
  override readonly exitStatus = 130
}

/** The code of a system error (`ENOENT`, `ENOSPC`, ...), or undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EEXIST: 'it exists already',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  EFBIG: 'the file would be larger than allowed',
  EIO: 'input/output error',
  EPIPE: 'who reads it has gone',
  ELOOP: 'it is a link to itself, or one of too many',
  ENXIO: 'it is a socket, or a device that is not there',
  ESPIPE: 'it is a pipe, in which nobody can go back: save it to a file first',
}

const HINTS: Record<string, string> = {
  ENOSPC: 'Free some space there, or choose another place (for the result, or by TMPDIR)',
  EDQUOT: 'Free some space there, or choose another place (for the result, or by TMPDIR)',
  EACCES: 'Check the permissions, or choose another path',
  EROFS: 'Choose another directory',
}

/**
 * A system error as an operator's error: `Cannot <action>: <reason>`. Errors that are ours already,
 * and errors that no system call has, come back unchanged.
 */
export function explain(action: string, error: unknown): unknown {
  const code = errorCode(error)
  if (error instanceof BuildError || code === undefined) return error
  const isSystems = error instanceof Error && 'syscall' in error
  const reason = REASONS[code] ?? (isSystems ? `the system says ${code}` : undefined)
  if (reason === undefined) return error
  return new BuildError(`Cannot ${action}: ${reason}`, { hint: HINTS[code], cause: error })
}
