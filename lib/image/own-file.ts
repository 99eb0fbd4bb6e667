/** Files that the operator brings. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UsageError } from '../cli/errors.ts'

/** The operator's file, readable and there. @throws {UsageError} otherwise */
export async function findOwn(what: string, path: string): Promise<string> {
  const script = resolve(path)
  try {
    if (!(await stat(script)).isFile()) throw new UsageError(`Cannot use "${path}": it is no file`)
    await access(script, constants.R_OK)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`Cannot read ${what} "${path}"`, {
      hint: 'Does the file exist, and may you read it?',
      cause: error,
    })
  }
  return script
}
