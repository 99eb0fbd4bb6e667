/** A build to report on, for tests of the page. */
import { debian } from '../distros/debian.ts'
import { commonOptions, parseArguments } from '../lib/cli/options.ts'
import type { BuildReport } from '../lib/image/build-report.ts'
import { imageOptions } from '../lib/image/image-options.ts'
import { resolveRecipe } from '../lib/image/recipe.ts'

const stamp = {
  text: 'main-20260508T120000Z-0123456789ab',
  branch: 'main',
  at: new Date('2026-05-08T12:00:00Z'),
  commit: '0123456789ab',
}

/** With all that a page can show, but for what the change says. */
export async function reportOf(change: Partial<BuildReport>): Promise<BuildReport> {
  const command = { name: 'x', summary: '', words: ['RELEASE'], examples: [] }
  const options = { ...imageOptions, ...commonOptions }
  const { options: given } = parseArguments({ ...command, options }, ['12'], {})
  const one = { arch: 'amd64', sourceVersion: '', licences: ['GPL-3+'] }
  return {
    recipe: await resolveRecipe(debian, '12', given, stamp, {}),
    image: { path: '/x/a.zfs.gz', bytes: 300e6, sha1: 'ab'.repeat(20), sha256: 'cd'.repeat(32) },
    uuid: 'cdcdcdcd-cdcd-8dcd-8dcd-cdcdcdcdcdcd',
    upstream: '12.8',
    files: [
      { name: 'a.zfs.gz', bytes: 300e6 },
      { name: 'a.imgmanifest', bytes: 1200 },
    ],
    timings: [
      { step: 'Install packages', at: 0.5, seconds: 50, cpuSeconds: 60 },
      { step: 'Write the image', at: 51, seconds: 12, cpuSeconds: 20 },
    ],
    seconds: 64,
    list: {
      system: { id: 'debian', version: '12', kind: 'deb' },
      packages: [
        { ...one, name: 'bash', version: '5.2.15-2+b7', source: 'bash' },
        { ...one, name: 'zlib1g', version: '1:1.2', source: 'zlib' },
      ],
    },
    leftovers: [],
    previous: undefined,
    serial: 'GNU GRUB\nlast words <b>\n',
    ...change,
  }
}
