/** ISO images that xorriso writes for us, and reads for us, seen by another reader as well. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkIso, extractFromIso, listIso, writeIso } from '../../lib/media/iso9660.ts'
import { needPackages } from '../live.ts'

needPackages({ xorriso: 'xorriso', bsdtar: 'libarchive-tools' })

const dir = await mkdtemp('/tmp/iso-')
const tree = join(dir, 'tree')
await mkdir(join(tree, 'a folder/with a very long name that ISO 9660 alone could not hold'), {
  recursive: true,
})
const FILES: Record<string, string> = {
  '/preseed.cfg': 'd-i answers\n',
  "/a folder/it's.txt": 'quoted\n',
  '/a folder/with a very long name that ISO 9660 alone could not hold/Mixed.Case.File': 'mixed\n',
}
for (const [name, text] of Object.entries(FILES)) await writeFile(join(tree, name), text)
const iso = join(dir, 'answers.iso')
const options = { label: 'kickstart', epochSeconds: 1_700_000_000 }

const message = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: Error & { hint?: string }) => `${error.message}\n${error.hint ?? ''}`,
  )

const images = suite('ISO 9660')
images.after(() => rm(dir, { recursive: true }))
images('are written with long names and a label, as another reader sees', async () => {
  await writeIso(tree, iso, options)
  const listed = execFileSync('bsdtar', ['-tf', iso], { encoding: 'utf8' }).split('\n')
  for (const name of Object.keys(FILES)) assert.ok(listed.includes(name.slice(1)), name)
  const label = (await readFile(iso)).subarray(16 * 2048 + 40, 16 * 2048 + 72).toString('latin1')
  assert.is(label.trimEnd(), 'kickstart')
})
images('are the same for the same answers', async () => {
  const digest = async (path: string) =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  const again = join(dir, 'again.iso')
  await new Promise((done) => setTimeout(done, 1100))
  for (const name of Object.keys(FILES)) await writeFile(join(tree, name), FILES[name]!)
  await writeIso(tree, again, options)
  assert.is(await digest(again), await digest(iso))
})
images('are listed', async () => {
  assert.equal((await listIso(iso)).sort(), Object.keys(FILES).sort())
})
images('give their files', async () => {
  const wanted = new Map(Object.keys(FILES).map((name, i) => [name, join(dir, 'out', `${i}`)]))
  await extractFromIso(iso, wanted)
  for (const [name, path] of wanted) assert.is(await readFile(path, 'utf8'), FILES[name])
})
images('say what is missing, and what lies there instead', async () => {
  const text = await message(extractFromIso(iso, new Map([['/vmlinuz', join(dir, 'k')]])))
  assert.match(text, /^Cannot find \/vmlinuz in ".*answers\.iso"\nIn \/ there is \/preseed\.cfg/)
  const elsewhere = await message(
    extractFromIso(iso, new Map([['/install/linux', join(dir, 'k')]])),
  )
  assert.match(elsewhere, /It has no folder \/install/)
})
images('are told from other files', async () => {
  const page = join(dir, 'page.iso')
  await writeFile(page, `<html>${'x'.repeat(50_000)}`)
  assert.match(await message(checkIso(page)), /^Cannot use ".*page\.iso": it is no ISO 9660 image/)
  await writeFile(page, 'short')
  assert.match(await message(listIso(page)), /no ISO 9660 image/)
  assert.match(await message(checkIso(join(dir, 'none.iso'))), /no such file/)
})
images('that are cut short do not pass for whole', async () => {
  const cut = join(dir, 'cut.iso')
  await writeFile(cut, await readFile(iso))
  await truncate(cut, 17 * 2048)
  const wanted = new Map([['/preseed.cfg', join(dir, 'cut-out')]])
  assert.match(await message(extractFromIso(cut, wanted)), /^(Cannot|xorriso)/)
})
images.run()
