/**
 * The stages of a build, as words of the command line: each can be run alone, as the steps of a
 * Jenkins job are.
 */
import { UsageError } from '../cli/errors.ts'

export const STAGES = ['fetch', 'iso', 'image', 'upload'] as const
export type Stage = (typeof STAGES)[number]

/** The name that mi-centos-hvm had for the answers, which Jenkinsfiles still have. */
const CLASSIC: Record<string, Stage> = { ks_iso: 'iso' }

const DEFAULT: readonly Stage[] = ['fetch', 'iso', 'image']

/**
 * The stages to run, in the order in which they depend on each other.
 *
 * @throws {UsageError} for a word that is none
 */
export function parseStages(given: readonly string[]): ReadonlySet<Stage> {
  const words = given.map((word) => CLASSIC[word] ?? word)
  const isStage = (word: string): word is Stage => STAGES.some((stage) => stage === word)
  const stray = words.find((word) => !isStage(word))
  if (stray !== undefined) {
    throw new UsageError(`Unknown stage "${stray}": stages are ${STAGES.join(', ')}`)
  }
  return new Set(words.length === 0 ? DEFAULT : STAGES.filter((stage) => words.includes(stage)))
}
