/**
 * Variables of a target: what an operator decides once for all images of a fleet, each with a default, as
 * Packer's are. `--var NAME=VALUE` sets one, `--var-file FILE` many; the last word counts.
 */
import { parse } from 'yaml'
import { isNestedTooDeep } from '../cli/nesting.ts'
import { BuildError, Interrupted, UsageError } from '../cli/errors.ts'
import type { OptionTable } from '../cli/options.ts'
import { readSmallInput } from '../cli/small-file.ts'

export type Variable = {
  default: string
  help: string
  /** What a value looks like as a whole. */
  pattern: RegExp
  /** The same in words, for who got it wrong: `a user name, as in admin`. */
  wants: string
}
export type VariableTable = Readonly<Record<string, Variable>>
export type Variables = Readonly<Record<string, string>>

export const variableOptions = {
  var: {
    arg: 'NAME=VALUE',
    many: true,
    parse: parseAssignment,
    help: 'a variable of the target; they are listed below',
  },
  'var-file': {
    arg: 'FILE',
    help: 'YAML or JSON with variables of the target; --var goes before it',
  },
} as const satisfies OptionTable

type Assignment = readonly [name: string, value: string]

/** `route_metric=50` to name and value. @throws {UsageError} otherwise */
function parseAssignment(text: string): Assignment {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name !== undefined && value !== undefined) return [name, value]
  throw new UsageError(`Cannot read --var "${text}": write NAME=VALUE`)
}

/**
 * Every variable of a table with its value.
 *
 * @throws {UsageError} for a name that is none, a value that does not fit, or a file that can't be read
 */
export async function resolveVariables(
  target: string,
  table: VariableTable,
  given: { var: readonly Assignment[]; 'var-file': string | undefined },
): Promise<Variables> {
  const file = given['var-file'] === undefined ? [] : await readVariables(given['var-file'])
  const values = Object.entries(table).map(([name, row]) => [name, row.default] as const)
  const result = Object.fromEntries(values)
  for (const [name, value] of [...file, ...given.var]) {
    const row = Object.hasOwn(table, name) ? table[name] : undefined
    if (!row) throw unknownVariable(target, table, name)
    if (!row.pattern.test(value)) {
      throw new UsageError(`Cannot use "${value}" as ${name}: it has to be ${row.wants}`)
    }
    result[name] = value
  }
  return result
}

function unknownVariable(target: string, table: VariableTable, name: string): UsageError {
  const names = Object.keys(table)
  return new UsageError(`Unknown variable "${name}" of target ${target}`, {
    hint: names.length > 0 ? `It has ${names.join(', ')}` : 'It has none',
  })
}

/** Lists are written as YAML writes them, or as one text with commas. */
async function readVariables(path: string): Promise<Assignment[]> {
  const text = String(
    await readSmallInput(path, `--var-file "${path}"`).catch((error: unknown) => {
      if (!(error instanceof BuildError) || error instanceof Interrupted) throw error
      throw new UsageError(error.message, { hint: error.hint, cause: error })
    }),
  )
  if (isNestedTooDeep(text)) {
    throw new UsageError(`Cannot read --var-file "${path}": it is nested too deep`)
  }
  let content: unknown
  try {
    content = parse(text, { logLevel: 'error' })
  } catch (error) {
    const said = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new UsageError(`Cannot read --var-file "${path}": ${said}`, { cause: error })
  }
  if (content === null || content === undefined) return []
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new UsageError(`Cannot read --var-file "${path}": it has to be lines of NAME: VALUE`)
  }
  return Object.entries(content).map(([name, value]): Assignment => {
    const items: unknown[] = Array.isArray(value) ? value : [value]
    if (items.some((item) => item !== null && typeof item === 'object')) {
      throw new UsageError(`Cannot read --var-file "${path}": ${name} is no plain value`)
    }
    return [name, items.map((item) => String(item ?? '')).join(',')]
  })
}

/** As the target's scripts find them in their environment: VAR_ROUTE_METRIC. */
export const variablesEnv = (variables: Variables): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [`VAR_${name.toUpperCase()}`, value]),
  )

/** For the usage text. */
export const describeVariables = (table: VariableTable): [string, string][] =>
  Object.entries(table).map(([name, row]) => [`${name}=${row.default}`, row.help])
