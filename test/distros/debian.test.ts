import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { distros } from '../../distros/all.ts'
import { debian } from '../../distros/debian.ts'
import { findRelease, systemOf } from '../../distros/distro.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const definition = suite('debian')
definition(
  'as every other names scripts that are there, and that a POSIX shell can read',
  async () => {
    const systems = distros.flatMap((distro) => [
      distro,
      ...distro.releases.map((release) => systemOf(distro, release)),
    ])
    const scripts = systems.flatMap(
      ({ setup, bootstrap, installer, cloudImage, rootTar, cleanUp }) => [
        ...[...setup, ...installer.installed, ...(rootTar ?? []), cleanUp],
        ...(bootstrap ? [bootstrap.initramfs, bootstrap.bootLoader] : []),
        ...(cloudImage ? [cloudImage.packages, ...cloudImage.finish] : []),
      ],
    )
    for (const script of new Set(scripts)) {
      const path = join(root, 'distros', script)
      execFileSync('sh', ['-n', path])
      const text = await readFile(path, 'utf8')
      assert.match(text, /^#!\/bin\/sh\n# \S/, `${script} says what it is for`)
      assert.match(text, /^set -eu$/m, `${script} stops at the first error`)
    }
  },
)
definition('has each package once, releases in order, and days that exist', () => {
  for (const release of debian.releases) {
    const all = [release.kernel, ...debian.packages, ...release.packages]
    assert.is(new Set(all).size, all.length)
    assert.is(new Date(release.endOfLife).toISOString().slice(0, 10), release.endOfLife)
  }
  const versions = debian.releases.map(({ version }) => Number(version))
  assert.equal(
    versions,
    versions.slice().sort((a, b) => a - b),
  )
})
definition('is found by number or codename, nothing else', () => {
  assert.is(findRelease(debian, '12')?.codename, 'bookworm')
  assert.is(findRelease(debian, 'trixie')?.version, '13')
  for (const word of ['12.0', '', 'Bookworm', '1']) assert.is(findRelease(debian, word), undefined)
})
definition.run()

const config = suite('cloud-init/90_smartos.cfg')
config('uses options that cloud-init 20.4 knows, as lines that can be relied on', async () => {
  const text = await readFile(join(root, 'cloud-init/90_smartos.cfg'), 'utf8')
  for (const line of [
    'datasource_list: [SmartOS]',
    'disable_root: false',
    'ssh_pwauth: false',
    'users: []',
    '      ephemeral0: /dev/disk/triton-data',
    '  - [ephemeral0, /data, ext4]',
    '    renderers: [netplan, eni, sysconfig]',
  ]) {
    assert.ok(text.split('\n').includes(line), line)
  }
})
config.run()
