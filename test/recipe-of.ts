/** Recipes for tests: what a create-image command makes of its words, at one moment and for one operator. */
import type { Distro } from '../distros/distro.ts'
import { type Command, type OptionTable, parseArguments } from '../lib/cli/options.ts'
import { imageOptions } from '../lib/image/image-options.ts'
import { resolveRecipe } from '../lib/image/recipe.ts'

export const at = new Date('2026-05-08T12:00:00Z')
export const stamp = { text: 'main-20260508T120000Z-abc', branch: 'main', at, commit: 'abc' }

const command = {
  name: 'x',
  summary: '',
  words: ['RELEASE'],
  options: imageOptions,
  examples: [],
} as const satisfies Command<OptionTable>

/** @param argv the release, and options */
export async function recipeOf(
  distro: Distro,
  argv: readonly string[],
  env: NodeJS.ProcessEnv = { HOME: '/home/a' },
) {
  const { options, words } = parseArguments(command, [...argv], env)
  return resolveRecipe(distro, words[0]!, options, stamp, env)
}
