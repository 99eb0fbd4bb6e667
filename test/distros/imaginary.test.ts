/** A distro more takes one definition and one answers file: here are both, and nothing else is touched. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Distro } from '../../distros/distro.ts'
import { elDistro, elInstaller } from '../../distros/el.ts'
import { parseArguments, usage } from '../../lib/cli/options.ts'
import { createImageUsage } from '../../lib/image/create-image.ts'
import { fleetOf } from '../../lib/image/fleet.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { pointRelease } from '../../lib/image/updates.ts'
import { validateRelease } from '../../lib/image/validate.ts'
import { answerFiles } from '../../lib/methods/installer-answers.ts'
import { readKickstart } from '../../lib/methods/kickstart.ts'

const imaginary: Distro = {
  ...elDistro,
  name: 'imaginary',
  title: 'Imaginary Linux',
  homepage: 'https://imaginary.example/',
  environment: { EFI_VENDOR: 'imaginary' },
  installer: {
    ...elInstaller,
    answers: [{ to: 'ks.cfg', from: ['../test/fixtures/imaginary/kickstart.cfg'], mode: 0o644 }],
    markers: ['POST'],
  },
  releases: [
    {
      version: '1',
      codename: 'Unseen',
      endOfLife: '2040-01-31',
      kernel: 'kernel',
      packages: [],
      repositories: { mirror: 'https://imaginary.example', base: '1/os/', others: [] },
      media: {
        roots: ['https://imaginary.example/1/isos/'],
        sums: 'CHECKSUM',
        signature: 'inside',
        file: /^Imaginary-(?<point>1\.\d+)-boot\.iso$/,
        key: {
          fingerprints: ['0000000000000000000000000000000000000001'],
          file: '/etc/pki/imaginary',
          url: 'https://imaginary.example/key',
        },
      },
    },
  ],
}
const [release] = imaginary.releases

const adding = suite('an imaginary distro')
adding('has a row, a command, and nothing to complain about', async () => {
  assert.equal(fleetOf([imaginary]), [
    {
      name: 'imaginary-1',
      distro: 'imaginary',
      release: '1',
      title: 'Imaginary Linux 1',
      method: 'installer',
      endOfLife: '2040-01-31',
    },
  ])
  assert.match(usage(createImageUsage(imaginary)), /^Usage: create-image-imaginary RELEASE/)
  assert.equal(await validateRelease(imaginary, '1', false), [])
  assert.is(pointRelease(release!, 'Imaginary-1.7-boot.iso'), '1.7')
})
adding('is told what every system needs', async () => {
  const { options } = parseArguments(createImageUsage(imaginary), ['1', '--include', 'tmux'], {})
  const stamp = { text: 'a', branch: 'a', at: new Date('2026-05-08'), commit: 'abc' }
  const recipe = await resolveRecipe(imaginary, 'Unseen', options, stamp, { HOME: '/home/a' })
  assert.is(recipe.title, 'Imaginary Linux 1 (Unseen)')
  const files = await answerFiles(imaginary, recipe, { label: 'x', files: new Set() })
  const { text } = files[0]!.from as { text: string }
  const { packages, scripts, problems } = readKickstart(text)
  assert.equal(problems, [])
  for (const one of ['kernel', 'cloud-init', 'tmux']) assert.ok(packages.includes(one), one)
  assert.match(text, /^url --url=https:\/\/imaginary\.example\/1\/os\/$/m)
  assert.match(text, /--append="console=tty0 console=ttyS0,115200n8 /)
  assert.equal(
    scripts.map(({ section }) => section),
    ['post'],
  )
})
adding.run()
