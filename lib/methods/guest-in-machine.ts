/** The guest of a machine, which sets itself up and, for a root tar, packs itself. */
import { type Distro, systemOf } from '../../distros/distro.ts'
import type { Recipe } from '../image/recipe.ts'
import { guestOf, type GuestScript, type StagedFile, stagedGuest } from './guest.ts'
import { tarDiskLines } from './tar-disk.ts'

/**
 * What has to lie in STAGING, and the script that does all.
 *
 * @param finish scripts behind the operator's, which depend on the method
 * @param customizeEnv environment of the operator's script, on top of the others'
 * @param first makes a script that runs before all others, of the environment of these
 */
export function guestInMachine(
  distro: Distro,
  recipe: Recipe,
  finish: readonly string[],
  customizeEnv: Readonly<Record<string, string>>,
  first?: (env: GuestScript['env']) => GuestScript,
): { files: StagedFile[]; script: string } {
  const packs = recipe.format === 'tgz'
  const { rootTar = [] } = systemOf(distro, recipe.release)
  const all = packs ? [...new Set([...finish, ...rootTar])] : finish
  const guest = guestOf(distro, recipe, all)
  const before = first ? [first(guest.setup[0]?.env ?? {})] : []
  return stagedGuest(
    { ...guest, setup: [...before, ...guest.setup] },
    customizeEnv,
    packs ? tarDiskLines(Math.floor(recipe.at.getTime() / 1000)) : [],
  )
}
