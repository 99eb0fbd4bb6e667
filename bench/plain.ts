/** The peer of a build: plain mmdebstrap making a tarball of the same packages. */
import { debian } from '../distros/debian.ts'
import type { Release } from '../distros/distro.ts'
import { shellWord } from '../lib/cli/shell-words.ts'
import { machineMirrors } from '../test/live.ts'

/** A shell command that writes the tarball. */
export function plainMmdebstrap(release: Release, tarball: string): string {
  const packages = [release.kernel, ...debian.packages, ...release.packages].join(',')
  const [, main, , security] = machineMirrors()
  const source = (url: string, suite: string) => `deb ${url} ${release.codename}${suite} main`
  // Without a mirror the default is the vendor's, as for create-image-debian.
  const sources =
    main === undefined
      ? []
      : [source(main, ''), source(main, '-updates')].concat(
          security === undefined || security === 'none' ? [] : source(security, '-security'),
        )
  const words = [
    '--variant=minbase',
    `--include=${packages}`,
    release.codename,
    tarball,
    ...sources,
  ]
  return `mmdebstrap ${words.map(shellWord).join(' ')}`
}
