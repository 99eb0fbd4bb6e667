/** Commands as text that a shell reads back to the same words. */

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/

/** One word, quoted only where a shell would read it otherwise. */
export function shellWord(word: string): string {
  if (PLAIN.test(word)) return word
  return `'${word.replaceAll("'", `'\\''`)}'`
}

export type ShownCommand = {
  words: string[]
  /** Variables set for this command alone. */
  env?: Record<string, string>
  /** What it reads from standard input. */
  input?: string
}

/** A command with its variables and its input, ready to paste into a terminal. */
export function shellCommand({ words, env = {}, input }: ShownCommand): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${shellWord(value)}`)
  const line = [...variables, ...words.map(shellWord)].join(' ')
  if (input === undefined) return line
  return `${line} <<'END'\n${input.replace(/\n?$/, '\n')}END`
}
