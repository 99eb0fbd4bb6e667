/** Every release that has a vendor's installer, plain and LVM: many minutes where nothing is accelerated. */
import { suite } from 'uvu'
import { MEDIA, recipeBench, tryRecipe } from '../every-recipe.ts'
import { assertNothingLeft, leftovers, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const bench = await recipeBench(dir)
const before = leftovers()

const every = suite('every recipe')
for (const name of Object.keys(MEDIA)) {
  for (const layout of ['plain', 'lvm']) {
    every(`${name}, ${layout}`, async () => {
      await tryRecipe(bench, name, layout)
      assertNothingLeft(before)
    })
  }
}
every.after(remove)
every.run()
