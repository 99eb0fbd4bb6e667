/** Writes the page of a build, from what lies in its directory by then. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { timings } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { plainText } from '../machine/console.ts'
import type { Filled } from '../methods/method.ts'
import { targetOf } from '../targets/targets.ts'
import { buildReport } from './build-report.ts'
import type { ImageFile } from './image-file.ts'
import { contentUuid } from './manifest.ts'
import { previousBuild } from './package-changes.ts'
import type { Recipe } from './recipe.ts'
import type { Records } from './records.ts'

/**
 * Write it; all other files of the build are there.
 *
 * @param serial the console as it is kept, where there is one
 * @throws {BuildError} when it can't be written
 */
export async function writeReport(
  recipe: Recipe,
  made: Filled & { image: ImageFile },
  { list }: Records,
  serial: string | undefined,
  path: string,
): Promise<void> {
  await act(`write ${path}`, async () => {
    const directory = dirname(path)
    const names = (await readdir(directory)).sort()
    const files = names.map(async (name) => {
      const { size } = await stat(join(directory, name))
      return { name, bytes: size }
    })
    const page = buildReport({
      recipe,
      image: made.image,
      uuid: targetOf(recipe).manifest ? contentUuid(made.image.sha256) : undefined,
      upstream: made.upstream,
      files: await Promise.all(files),
      timings,
      seconds: process.uptime(),
      leftovers: made.leftovers,
      list,
      previous: await previousBuild(recipe.output, recipe.name),
      serial: serial === undefined ? undefined : plainText(await readFile(serial, 'latin1')),
    })
    await writeFile(path, page)
  })
}
