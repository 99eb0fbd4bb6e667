/**
 * What a build is made of by files that somebody may edit while it runs: this project's own for guests, and the
 * operator's. They are copied when it begins. So what goes into an image is what it is known by in the cache and in its
 * records, though they are looked at minutes before.
 */
import { copyFile, cp, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import type { Recipe } from './recipe.ts'

/** Directories of this project that guests get files of. */
const OF_GUESTS = ['distros', 'cloud-init', 'sdc-vmtools']

/**
 * The recipe with copies of its files, which are there until the command ends. With --dry-run it is the same.
 *
 * @throws {BuildError} when one can't be read
 */
export async function copyInputs(recipe: Recipe, scope: Scope): Promise<Recipe> {
  if (session.dryRun) return recipe
  const { installer, cloud } = recipe
  const directory = await scope.tempDir(`${recipe.name}-inputs`)
  const copy = async (path: string) => {
    const place = join(await newDirectory(), basename(path)) // messages have its name
    await act(`copy ${path} to ${place}`, () => copyFile(path, place))
    return place
  }
  let count = 0
  const newDirectory = async () => {
    const place = join(directory, String(++count))
    await act(`make ${place}`, () => mkdir(place))
    return place
  }
  const project = await newDirectory()
  await act(`copy the files for guests of ${recipe.project} to ${project}`, async () => {
    for (const name of OF_GUESTS) {
      await cp(join(recipe.project, name), join(project, name), {
        recursive: true,
        dereference: true,
        preserveTimestamps: true,
      })
    }
  })
  const optional = async (path: string | undefined) => (path === undefined ? path : copy(path))
  return {
    ...recipe,
    project,
    customize: await optional(recipe.customize),
    installer: installer && { ...installer, answers: await optional(installer.answers) },
    cloud: cloud && { ...cloud, userData: await optional(cloud.userData) },
  }
}
