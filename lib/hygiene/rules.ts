/** All rules, and what they find in a system. */
import type { SystemFiles } from './files.ts'
import { LEFTOVER_NAMES, type Finding, type LeftoverName, type Origin } from './leftovers.ts'
import { accessRules } from './rules-access.ts'
import { buildRules } from './rules-build.ts'
import { sourceRules } from './rules-sources.ts'

/** What of its name is there, a line each: usually a path, and what is wrong with it. */
export type Rule = (files: SystemFiles, origin: Origin) => Iterable<string>

/** The others are no files: hygiene.ts says of a disk what it can't be read for, search.ts looks at bytes. */
type WithoutRule = 'unread' | 'secrets'

export type Rules = Record<Exclude<LeftoverName, WithoutRule>, Rule>

export const rules: Rules = { ...accessRules, ...sourceRules, ...buildRules }

/** Of each name, in their order. */
export function findLeftovers(files: SystemFiles, origin: Origin): Finding[] {
  return LEFTOVER_NAMES.flatMap((name) =>
    name === 'secrets' || name === 'unread'
      ? []
      : [...rules[name](files, origin)].map((evidence): Finding => ({ name, evidence })),
  )
}
