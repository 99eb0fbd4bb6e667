/**
 * Answers: templates with `@NAME@` for what a recipe decides. A line that begins with `@?NAME@` is there
 * only when that value is not empty, one that begins with `@!NAME@` only when it is, so that one file
 * serves every release and every option. A line that is nothing but `@NAME@` takes a list, a line each.
 */

export type AnswerValues = Readonly<Record<string, string | readonly string[]>>

const TOKEN = /@([A-Z][A-Z0-9_]*)@/g
const ALONE = /^@([A-Z][A-Z0-9_]*)@$/
const CONDITION = /^@([?!])([A-Z][A-Z0-9_]*)@ /

/**
 * Fill a template.
 *
 * @param name of the template, for messages
 * @throws {Error} for a token without a value: a mistake in the template
 */
export function fillAnswers(template: string, values: AnswerValues, name: string): string {
  const valueOf = (token: string) => {
    const value = values[token]
    if (value === undefined) throw new Error(`Unknown token @${token}@ in ${name}`)
    if ([value].flat().some((text) => /[\r\n]/.test(text))) {
      throw new Error(`Value of @${token}@ for ${name} has more than a line`)
    }
    return value
  }
  /** The line behind its conditions, or none. */
  const wanted = (line: string): string[] => {
    const [condition, kind, token] = CONDITION.exec(line) ?? []
    if (condition === undefined) return [line]
    const empty = valueOf(token!).length === 0
    return empty === (kind === '!') ? wanted(line.slice(condition.length)) : []
  }
  const filled = (line: string): string[] => {
    const [, alone] = ALONE.exec(line) ?? []
    if (alone !== undefined) return [valueOf(alone)].flat()
    return [line.replaceAll(TOKEN, (_, token: string) => String(valueOf(token)))]
  }
  return template
    .split('\n')
    .flatMap((line) => (line.startsWith('#') ? [line] : wanted(line).flatMap(filled)))
    .join('\n')
}
