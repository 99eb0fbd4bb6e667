/** Which releases can be made from a cloud image, and which ship as a root tar: what their definitions say. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { UsageError } from '../../lib/cli/errors.ts'
import { parseArguments } from '../../lib/cli/options.ts'
import { createImageUsage } from '../../lib/image/create-image.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { inTemporaryDir } from '../temporary.ts'

const stamp = { text: 'a', branch: 'a', at: new Date('2026-05-08'), commit: 'abc' }

function recipeOf(name: string, ...argv: string[]) {
  const distro = distros.find((one) => name.startsWith(`${one.name}-`))!
  const release = name.slice(distro.name.length + 1)
  const { options } = parseArguments(createImageUsage(distro), [release, ...argv], {})
  return resolveRecipe(distro, release, options, stamp, { HOME: '/home/a' })
}
async function refusal(name: string, ...argv: string[]): Promise<string> {
  try {
    await recipeOf(name, ...argv)
  } catch (error) {
    assert.instance(error, UsageError)
    const { message, hint } = error as UsageError
    return hint === undefined ? message : `${message}. ${hint}`
  }
  return 'accepted'
}
const all = distros.flatMap(({ name, releases }) =>
  releases.map(({ version }) => `${name}-${version}`),
)
const CLOUD = ['--method', 'cloud-image']

const cloud = suite('--method cloud-image')
cloud('finds the vendor’s own, but for those whose vendor has none', async () => {
  const refused = []
  for (const name of all) {
    const said = await refusal(name, ...CLOUD)
    if (said !== 'accepted') refused.push([name, said.split('. ')[0]])
  }
  assert.equal(refused.sort(), [
    ['centos-6', "CentOS 6 can't be built by --method cloud-image"],
    ['centos-7', "CentOS 7 can't be built by --method cloud-image"],
    ['centos-8', "CentOS 8 can't be built by --method cloud-image"],
    ['oraclelinux-10', 'Method cloud-image needs --base for Oracle Linux 10'],
    ['oraclelinux-8', 'Method cloud-image needs --base for Oracle Linux 8'],
    ['oraclelinux-9', 'Method cloud-image needs --base for Oracle Linux 9'],
  ])
  assert.is(await refusal('oraclelinux-9', ...CLOUD, '--base', 'x.qcow2'), 'accepted')
  assert.is(
    await refusal('centos-7', ...CLOUD, '--base', 'x.qcow2'),
    "CentOS 7 can't be built by --method cloud-image",
  )
})
cloud('has a kernel for real machines on a disk for them, and none for a root tar', async () => {
  const kernelOf = async (...argv: string[]) =>
    (await recipeOf('ubuntu-24.04', ...CLOUD, ...argv)).cloud!.kernel
  assert.is(await kernelOf(), undefined)
  assert.is(await kernelOf('--target', 'maas', '--format', 'ddgz'), 'linux-image-generic')
  assert.is(await kernelOf('--target', 'maas'), undefined)
  assert.is(await kernelOf('--target', 'maas', '--kernel', 'linux-image-kvm'), 'linux-image-kvm')
})
cloud('refuses user-data of no use, with its line, before anything is done', () =>
  inTemporaryDir(async (dir) => {
    const own = join(dir, 'own')
    await writeFile(own, '#cloud-config\na: [1\nb: 2\n')
    const said = await refusal('debian-12', ...CLOUD, '--user-data', own)
    assert.match(said, /^Cannot use --user-data ".*own": line 3 is no YAML: /)
  }),
)
cloud.run()

const tree = suite('--format tgz')
tree('is made by every method of every release, but for the oldest', async () => {
  for (const name of all) {
    const said = await refusal(name, '--method', 'installer', '--target', 'maas')
    const expected =
      name === 'centos-6' ? /^CentOS 6 can't ship as a root tar\. Choose .* ddgz$/ : /^accepted$/
    assert.match(said, expected, name)
  }
})
tree('has a system installed that boots, where a machine makes it', async () => {
  for (const method of ['installer', 'cloud-image']) {
    const words = ['--method', method, '--target', 'maas']
    const { packages, kernel, disk } = await recipeOf('debian-12', ...words)
    for (const one of [kernel, 'shim-signed', 'grub-cloud-amd64']) assert.ok(packages.includes(one))
    assert.is(disk.kind, 'file')
  }
  const { packages } = await recipeOf('debian-12', '--method', 'bootstrap', '--target', 'maas')
  assert.not(packages.some((one) => /^(linux-image|shim|grub)/.test(one)))
})
tree.run()
