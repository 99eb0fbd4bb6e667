/**
 * All questions of a boot as one shell script, and its output taken apart again: under emulation a
 * log-in costs seconds, a question milliseconds.
 */
import type { Check } from './check.ts'

export type Answer = { said: string; seconds: number }

/** The script; `mark` is a word that no answer holds. */
export function guestScript(checks: readonly Pick<Check, 'name' | 'ask'>[], mark: string): string {
  return [
    'export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin',
    ...checks.flatMap(({ name, ask }, i) => [
      `ask_${i}() {\n${ask}\n}`,
      `from=$(date +%s%N)`,
      `said=$(ask_${i} 2>&1 </dev/null)`,
      // In whole milliseconds: the shell has no fractions.
      `printf '\\n%s %s %s\\n%s' ${mark} ${name} $(( ($(date +%s%N) - from) / 1000000 )) "$said"`,
    ]),
    `printf '\\n%s end 0\\n' ${mark}`,
    '',
  ].join('\n')
}

/** Answers by name of check; those after an interruption are missing. */
export function readAnswers(output: string, mark: string): Map<string, Answer> {
  const parts = output.split(new RegExp(`(?:^|\\n)${mark} (\\S+) (\\d+)\\n`))
  const answers = new Map<string, Answer>()
  for (let i = 1; i + 2 < parts.length; i += 3) {
    const [name, milliseconds, said] = parts.slice(i, i + 3)
    if (name !== 'end') answers.set(name!, { said: said!, seconds: Number(milliseconds) / 1000 })
  }
  return answers
}
