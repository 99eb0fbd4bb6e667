import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { copyInputs } from '../../lib/image/inputs.ts'
import { diskKey } from '../../lib/image/makers.ts'
import { bootFiles, keepAside, restoreAside, treeKeys } from '../../lib/methods/bootstrap-tree.ts'
import type { PackageLock } from '../../lib/packages/lock.ts'
import { recipeOf } from '../recipe-of.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const names = suite('bootFiles()')
names('of amd64: for BIOS, and on the removable path of UEFI', () => {
  const { files, download } = bootFiles('/w', 'amd64', 'debian')
  assert.equal(files, {
    bios: { boot: '/w/boot.img', core: '/w/core.img' },
    esp: {
      'EFI/BOOT/BOOTX64.EFI': '/w/shimx64.efi',
      'EFI/BOOT/grubx64.efi': '/w/grubx64.efi',
      'EFI/BOOT/mmx64.efi': '/w/mmx64.efi',
      'EFI/debian/grub.cfg': '/w/grub.cfg',
    },
  })
  assert.is(download.length, 6)
})
names('of arm64: for UEFI alone, by its names', () => {
  const { files, download } = bootFiles('/w', 'arm64', 'ubuntu')
  assert.equal(files, {
    esp: {
      'EFI/BOOT/BOOTAA64.EFI': '/w/shimaa64.efi',
      'EFI/BOOT/grubaa64.efi': '/w/grubaa64.efi',
      'EFI/BOOT/mmaa64.efi': '/w/mmaa64.efi',
      'EFI/ubuntu/grub.cfg': '/w/grub.cfg',
    },
  })
  assert.not.match(JSON.stringify(download), /i386-pc/)
})
names.run()

const LOCK: PackageLock = {
  lock: 1,
  distro: 'debian',
  release: '12',
  arch: 'amd64',
  epoch: 1_750_000_000,
  requested: ['bash'],
  required: ['bash'],
  installedBytes: 7000,
  sources: [],
  packages: [],
  tools: { mmdebstrap: '1.3.5', 'apt-ftparchive': '2.6.2', 'mkfs.ext4': '1.47.0', zstd: '1.5.4' },
}

/** A build as far as keys go. */
async function buildOf(words: string[], tools: Record<string, string> = {}) {
  const lock = { ...LOCK, tools: { ...LOCK.tools, ...tools } }
  const pin = { lock, newest: lock.epoch, store: '', sources: [], lists: '', materials: [] }
  return {
    ...{ distro: debian, recipe: await recipeOf(debian, ['12', ...words]), pin },
    ...{ scope: new Scope(), work: '/w', seed: 'seed', epochSeconds: lock.epoch },
    stages: { directory: undefined, fresh: false },
  }
}
const keysOf = async (words: string[] = [], tools: Record<string, string> = {}) => {
  const build = await buildOf(words, tools)
  const keys = (await treeKeys(build, undefined))!
  return { ...keys, disk: diskKey({ ...build, key: keys.system }) }
}

const keys = suite('treeKeys()')
keys('are of a script by what is in it, whatever it is called', () =>
  inTemporaryDir(async (dir) => {
    const [one, two] = [join(dir, 'one.sh'), join(dir, 'two.sh')]
    await writeFile(one, '#!/bin/sh\n')
    const first = await keysOf(['--customize', one])
    assert.is.not(first.system, (await keysOf()).system)
    await rename(one, two)
    assert.equal(await keysOf(['--customize', two]), first)
    await writeFile(two, '#!/bin/sh\ntrue\n')
    const other = await keysOf(['--customize', two])
    assert.is.not(other.system, first.system)
    assert.is(other.base, first.base)
  }),
)
keys('are of the programs that install packages, and a disk of those that write it', async () => {
  const first = await keysOf()
  const installed = await keysOf([], { mmdebstrap: '1.5.7' })
  assert.is.not(installed.base, first.base)
  assert.is.not(installed.system, first.system)
  const written = await keysOf([], { 'mkfs.ext4': '1.47.2' })
  assert.is(written.system, first.system)
  assert.is.not(written.disk, first.disk)
  assert.equal(
    await keysOf([], { zstd: '1.5.7' }),
    first,
    'packs what is kept, and unpacks it again',
  )
})
keys('are of the user: root can make what others can’t', async () => {
  const { getuid } = process
  const other = getuid!() === 0 ? 1000 : 0
  const first = await keysOf()
  process.getuid = () => other
  try {
    const others = await keysOf()
    assert.is.not(others.base, first.base)
    assert.is.not(others.system, first.system)
  } finally {
    process.getuid = getuid!
  }
})
keys('are the same for a disk of another size, which is another disk', async () => {
  const first = await keysOf()
  const larger = await keysOf(['--size', '20G'])
  assert.is(larger.system, first.system)
  assert.is.not(larger.disk, first.disk)
})
keys('stay what they were when a file is edited while the build runs', () =>
  inTemporaryDir(async (dir) => {
    const script = join(dir, 'my.sh')
    await writeFile(script, 'as it was')
    const given = await buildOf(['--customize', script])
    process.env['TMPDIR'] = dir
    const scope = new Scope()
    try {
      const build = { ...given, recipe: await copyInputs(given.recipe, scope) }
      assert.equal(await treeKeys(build, undefined), await treeKeys(given, undefined))
      const before = await treeKeys(build, undefined)
      await writeFile(script, 'edited')
      assert.equal(await treeKeys(build, undefined), before)
      assert.is(await readFile(build.recipe.customize!, 'utf8'), 'as it was')
      assert.match(build.recipe.customize!, /\/my\.sh$/)
      assert.ok(build.recipe.project.startsWith(dir), build.recipe.project)
    } finally {
      await scope.close(false)
      delete process.env['TMPDIR']
    }
  }),
)
keys.run()

const aside = suite('files beside a tree')
aside('come back as they were kept, or not at all', () =>
  inTemporaryDir(async (dir) => {
    const [work, kept] = [join(dir, 'work'), join(dir, 'kept')]
    await Promise.all([work, kept].map((one) => mkdir(one)))
    const files = ['grubx64.efi', 'point'].map((name) => join(work, name))
    for (const file of files) await writeFile(file, `of ${file}`)
    await keepAside(files, kept)
    for (const file of files) await writeFile(file, '')
    await restoreAside(kept, files)
    for (const file of files) assert.is(await readFile(file, 'utf8'), `of ${file}`)
    await truncate(join(kept, 'grubx64.efi')) // as a power cut leaves it
    const { message } = await errorOf(() => restoreAside(kept, files))
    assert.is(message, 'grubx64.efi is not what was kept')
  }),
)
aside.run()
