/** The operator's own directories. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { HostError } from '../cli/errors.ts'

/** @throws {HostError} for a user that nobody has made, and who has not said it */
export function homeDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env['HOME']) return env['HOME']
  try {
    return homedir()
  } catch (error) {
    throw new HostError('Cannot find your home directory: this user has none', {
      hint: 'Set $HOME',
      cause: error,
    })
  }
}

/** Where caches are. Source: XDG Base Directory Specification. */
export const cacheDirectory = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env['XDG_CACHE_HOME'] || join(homeDirectory(env), '.cache'), 'hybrid-images')
