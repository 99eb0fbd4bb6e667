/**
 * Media of each vendor's layout, from the command to the image, one release of each kind;
 * `npm run test:recipes` tries all of them. See ../every-recipe.ts for what this shows and what not.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { MEDIA, mediumOf, recipeBench, recipeWords, tryRecipe } from '../every-recipe.ts'
import { assertNothingLeft, leftovers, run, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const bench = await recipeBench(dir)
const before = leftovers()

const whole = suite('create-image-<distro>, method installer')
whole.skip('has a medium here for each release', () => {
  const all = distros
    .filter(({ name }) => name !== 'debian') // whose own installer is at hand
    .flatMap(({ name, releases }) => releases.map(({ version }) => `${name}-${version}`))
  assert.equal(Object.keys(MEDIA).sort(), all.sort())
})
// With and without notes, a label with blanks, LVM, another folder for UEFI, answers on a second CD.
for (const [name, layout] of [['rocky-9', 'plain']] as const) {
  whole(
    `${name}, ${layout}: the installer finds its answers, the set-up runs to its end`,
    async () => {
      await tryRecipe(bench, name, layout)
      assertNothingLeft(before)
    },
  )
}
for (const name of ['rocky-9', 'ubuntu-24.04']) {
  whole(`${name}: the new system packs itself as a root tar, for MAAS`, async () => {
    const output = join(dir, `tgz-${name}`)
    const [distro] = name.split('-')
    const { status, stdout } = await run(`create-image-${distro}`, [
      ...recipeWords(bench, name, await mediumOf(bench, name), 'plain', output),
      ...['--target', 'maas', '--name', 'custom-tree'],
    ])
    assert.is(status, 0)
    const tar = stdout.trim()
    assert.match(tar, /custom-tree\.tar\.gz$/)
    const list = execFileSync('tar', ['--numeric-owner', '-tvf', tar], { encoding: 'utf8' })
    for (const path of [
      'etc/cloud/cloud.cfg.d/90_maas.cfg',
      'curtin/curtin-hooks',
      'boot/',
      'dev/',
    ]) {
      assert.match(list, new RegExp(` 0/0 .* \\./${path}$`, 'm'))
    }
    assert.not.match(list, / \.\/(dev|proc|sys|lost\+found)\/./)
    const efi = / \.\/boot\/efi\/EFI\/rocky\/shimx64\.efi$/m
    assert.is(efi.test(list), name === 'rocky-9', 'loaders stay where nobody brings them')
    const fstab = execFileSync('tar', ['-xOf', tar, './etc/fstab'], { encoding: 'utf8' })
    assert.is(fstab, '')
    await rm(output, { recursive: true })
    assertNothingLeft(before)
  })
}
whole.skip('refuses the medium of another release or distro before it is booted', async () => {
  const nine = await mediumOf(bench, 'rocky-9')
  const eight = await mediumOf(bench, 'oraclelinux-8')
  const noble = await mediumOf(bench, 'ubuntu-24.04')
  for (const [name, iso, says] of [
    ['rocky-10', nine, 'Rocky-9-6-x86_64-dvd'],
    ['almalinux-9', nine, 'Rocky-9-6-x86_64-dvd'],
    ['rocky-8', eight, 'Oracle Linux 8.10.0 x86_64'],
    ['ubuntu-22.04', noble, 'Ubuntu-Server 24.04.3 LTS "Noble Numbat" - Release amd64 (20250805)'],
  ] as const) {
    const [distro] = name.split('-')
    const { status, stderr } = await run(`create-image-${distro}`, recipeWords(bench, name, iso))
    assert.is(status, 1)
    assert.ok(stderr.includes(`it says "${says}"`), stderr)
    assert.not.match(stderr, /^Install/m)
  }
  assertNothingLeft(before)
})
whole.after(remove)
whole.run()
