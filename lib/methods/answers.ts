/**
 * Answers: templates with `@NAME@` for what a recipe decides. A line that begins with `@?NAME@` is
 * there only when that value is not empty, so that one file serves every release and every option.
 */

export type AnswerValues = Readonly<Record<string, string>>

const TOKEN = /@([A-Z][A-Z0-9_]*)@/g
const CONDITION = /^@\?([A-Z][A-Z0-9_]*)@ /

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
    if (/[\r\n]/.test(value))
      throw new Error(`Value of @${token}@ for ${name} has more than a line`)
    return value
  }
  return template
    .split('\n')
    .filter((line) => {
      const [, condition] = CONDITION.exec(line) ?? []
      return condition === undefined || valueOf(condition) !== ''
    })
    .map((line) =>
      line.startsWith('#')
        ? line
        : line.replace(CONDITION, '').replaceAll(TOKEN, (_, token: string) => valueOf(token)),
    )
    .join('\n')
}
