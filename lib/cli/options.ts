/**
 * Options as one table: a row is the parser, the help text and the README's line at once.
 *
 * `--name value`, `--name=value`, and `-n value` for rows with a short name. A row without `arg` is a switch; one whose
 * default is true is offered as `--no-<name>`. What is unknown, without its value, or given twice though it is
 * no list, is a usage error, found before anything is touched. Words stay strings: 10.10 is not 10.1.
 */
import minimist from 'minimist'
import { UsageError } from './errors.ts'

export type OptionRow = {
  help: string
  /** Name of the value in the usage text; absent for a switch. */
  arg?: string
  /** One letter that stands for the name. */
  short?: string
  /** The command can't do without it. */
  required?: true
  /** May be given any number of times: the value is a list, empty where it is not given. */
  many?: true
  default?: string | boolean
  choices?: readonly string[]
  /** Turns the text into a value; throws UsageError with what is wrong with it. */
  parse?: (text: string) => unknown
  /** Environment variables that give the value when the option does not, first one wins. */
  env?: readonly string[]
}

export type OptionTable = Record<string, OptionRow>

type Given<R extends OptionRow> = R extends { parse: (text: string) => infer V }
  ? V
  : R extends { choices: readonly (infer C)[] }
    ? C
    : string
type Value<R extends OptionRow> = R extends { many: true }
  ? Given<R>[]
  : R extends { arg: string }
    ? R extends { default: string } | { required: true }
      ? Given<R>
      : Given<R> | undefined
    : boolean

/** What parseArguments returns for a table. */
export type Options<T extends OptionTable> = { [K in keyof T]: Value<T[K]> }

export type Command<T extends OptionTable> = {
  name: string
  summary: string
  /** Positional words by name, all required: `['RELEASE']`. */
  words: readonly string[]
  /** Name of what may follow them, any number of times: `STAGE`. */
  more?: string
  /** Name of what may follow `--`, handed over as it is. */
  rest?: string
  /** Said below the summary: what the words may be. */
  details?: readonly string[]
  options: T
  /** More that can be told to it, each with what it is, below the options. */
  sections?: readonly { title: string; rows: readonly (readonly [string, string])[] }[]
  examples: readonly string[]
}

/** Options that every command has. */
export const commonOptions = {
  verbose: { help: 'print each command, ready to paste, and its output (also TRACE=1)' },
  help: { short: 'h', help: 'print this text' },
} as const satisfies OptionTable

function flag(name: string, row: OptionRow): string {
  if (row.arg) return `--${name} ${row.arg}`
  return row.default === true ? `--no-${name}` : `--${name}`
}

/** The command's words and what stands around them. */
function synopsis({ name, words, more, rest, options }: Command<OptionTable>): string {
  const required = Object.entries(options).flatMap(([key, row]) =>
    row.required ? [row.short ? `-${row.short} ${row.arg}` : flag(key, row)] : [],
  )
  const tail = rest === undefined ? [] : [`[-- ${rest}...]`]
  const others = more === undefined ? [] : [`[${more} ...]`]
  return ['Usage:', name, ...required, ...words, ...others, '[options]', ...tail].join(' ')
}

/** One option as `[flag, help]`, with its choices, default and environment variables. */
export function describeOption(name: string, row: OptionRow): [string, string] {
  const notes = [
    row.required && 'required',
    row.choices && row.choices.join(' | '),
    row.many && 'may be given many times',
    typeof row.default === 'string' && row.default !== '' && `default ${row.default}`,
    row.env && `or $${row.env.join(', $')}`,
  ].filter(Boolean)
  const short = row.short ? `-${row.short}, ` : ''
  return [short + flag(name, row), row.help + (notes.length ? ` (${notes.join('; ')})` : '')]
}

function inColumns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`)
}

/** The usage text of a command. */
export function usage(command: Command<OptionTable>): string {
  const options = Object.entries(command.options).map(([name, row]) => describeOption(name, row))
  const sections = [{ title: 'Options', rows: options }, ...(command.sections ?? [])]
  return [
    synopsis(command),
    '',
    command.summary,
    ...(command.details ?? []),
    '',
    ...sections.flatMap(({ title, rows }) => [`${title}:`, ...inColumns(rows), '']),
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
    'Exit status: 0 done, 1 failed, 2 bad usage, 3 host not ready, 130 interrupted',
    '',
  ].join('\n')
}

/** Number of single-character edits between two words, to guess what was meant. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, change))
    }
    row = next
  }
  return row[b.length]!
}

function unknownOption(text: string, table: OptionTable): UsageError {
  const given = text.split('=')[0]!
  const known = Object.entries(table).map(([name, row]) => flag(name, row).split(' ')[0]!)
  const nearest = known.sort((a, b) => distance(given, a) - distance(given, b))[0]
  const close = nearest && distance(given, nearest) <= 3
  return new UsageError(`Unknown option ${given}`, {
    hint: close ? `Did you mean ${nearest}? --help lists all` : '--help lists the options',
  })
}

/**
 * Every option is one of the table's; minimist itself takes what any object has (`--constructor`), and `--no-` for
 * options with a value.
 */
function checkNames(words: readonly string[], table: OptionTable): void {
  for (const word of words) {
    if (word.startsWith('--')) {
      const name = word.slice(2).split('=', 1)[0]!
      const negated = name.replace(/^no-/, '')
      const known = (one: string) => (Object.hasOwn(table, one) ? table[one] : undefined)
      if (!known(name) && (known(negated)?.arg !== undefined || !known(negated))) {
        throw unknownOption(word, table)
      }
    } else if (word.startsWith('-')) {
      for (const letter of word.slice(1)) {
        const row = Object.values(table).find(({ short }) => short === letter)
        if (!row) throw unknownOption(word, table)
        if (row.arg || word[2] === '=') break // the rest is its value
      }
    }
  }
}

/** The values of an option that may be given many times. */
function listOf(name: string, row: OptionRow, given: unknown): unknown[] {
  const texts = (given === undefined ? [] : [given].flat()).map(String)
  if (texts.includes('')) throw new UsageError(`Option --${name} needs a value: ${row.arg}`)
  return texts.map((text) => (row.parse ? row.parse(text) : text))
}

/**
 * Read a command line.
 *
 * @throws {UsageError} for an unknown option, a missing, doubled or wrong value, and a wrong number
 *   of words (not when --help is given)
 */
export function parseArguments<T extends OptionTable>(
  command: Command<T>,
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): { options: Options<T>; words: string[]; rest: string[] } {
  const table: OptionTable = command.options
  const end = argv.indexOf('--')
  const before = end < 0 ? argv : argv.slice(0, end)
  const entries = Object.entries(table)
  checkNames(before, table)
  const found = minimist([...argv], {
    '--': true,
    alias: Object.fromEntries(entries.map(([name, row]) => [name, row.short ?? []])),
    string: ['_', ...entries.filter(([, row]) => row.arg).map(([name]) => name)],
    boolean: entries.filter(([, row]) => !row.arg).map(([name]) => name),
  })
  const value = ([name, row]: [string, OptionRow]): [string, unknown] => {
    const given: unknown = found[name]
    if (row.many) return [name, listOf(name, row, given)]
    if (Array.isArray(given))
      throw new UsageError(`Option --${name} is given ${given.length} times`)
    if (!row.arg) {
      const forms = `--(no-)?${name}(=|$)${row.short ? `|-${row.short}$` : ''}`
      const mentioned = before.some((arg) => new RegExp(`^(${forms})`).test(arg))
      return [name, mentioned ? given === true : row.default === true]
    }
    const text = given ?? row.env?.map((key) => env[key]).find(Boolean) ?? row.default
    if (text === '' && given === '')
      throw new UsageError(`Option --${name} needs a value: ${row.arg}`)
    if (typeof text !== 'string' && row.required && !found['help']) {
      throw new UsageError(`Missing --${name} ${row.arg}`, { hint: synopsis(command) })
    }
    if (typeof text !== 'string') return [name, undefined]
    if (row.choices && !row.choices.includes(text)) {
      throw new UsageError(`Unknown --${name} "${text}": choose ${row.choices.join(' or ')}`)
    }
    return [name, row.parse ? row.parse(text) : text]
  }
  const words = found._.map(String)
  const rest = (found['--'] ?? []).map(String)
  if (rest.length > 0 && command.rest === undefined) {
    throw new UsageError(`Unexpected argument "${rest[0]}"`, { hint: synopsis(command) })
  }
  const tooMany = words.length > command.words.length && command.more === undefined
  if (!found['help'] && (words.length < command.words.length || tooMany)) {
    throw new UsageError(
      words.length < command.words.length
        ? `Missing ${command.words.slice(words.length).join(' ')}`
        : `Unexpected argument "${words[command.words.length]}"`,
      { hint: synopsis(command) },
    )
  }
  return { options: Object.fromEntries(entries.map(value)) as Options<T>, words, rest }
}

const UNITS: Record<string, number> = { M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** `10G`, `20480M`, `1T` to bytes. @throws {UsageError} otherwise */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+)([MGT])(?:i?B)?$/.exec(text) ?? []
  const bytes = Number(digits) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new UsageError(`Cannot read size "${text}": write a whole number and M, G or T, as in 10G`)
}

/** A name for files and images. @throws {UsageError} otherwise */
export function parseName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(text)) return text
  throw new UsageError(`Cannot use name "${text}": take letters, digits, and . _ - between them`)
}

/** A whole number above zero. @throws {UsageError} otherwise */
export function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`Cannot read number "${text}": write a whole number above zero`)
}

const SPAN = /^(?!$)(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,9})s?)?$/

/** `5400`, `90m`, `1h30m` to seconds. @throws {UsageError} otherwise */
export function parseSeconds(text: string): number {
  const [, hours = 0, minutes = 0, seconds = 0] = SPAN.exec(text) ?? []
  const all = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  if (all > 0) return all
  throw new UsageError(`Cannot read time "${text}": write seconds, or h and m, as in 1h30m`)
}

/** `a,b c` to its words. */
export function parseList(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean)
}

/**
 * An http or https address, as it may stand in a file: what a browser would overlook in one (line ends, blanks, a
 * missing slash) is none here, nor a quotation mark, which would end a password in a file before its time.
 *
 * @throws {UsageError} otherwise
 */
export function parseUrl(text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = /^https?:\/\/[^\s/"\\\x00-\x1f][^\s"\x00-\x1f\x7f]*$/i.test(text)
  if (plain && URL.canParse(text)) {
    const { username, password } = new URL(text)
    if (username !== '' || password === '') return text
    throw new UsageError('Cannot use an address with a password and no name: write name:password@')
  }
  // Without a scheme, or with a slash in it, nobody else would know a password in it for one.
  const shown = text.replace(/^(\w+:\/\/)?[^]*@/, '$1***@')
  throw new UsageError(`Cannot read address "${shown}": it has to start with http:// or https://`)
}
