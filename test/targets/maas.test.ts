import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { debian } from '../../distros/debian.ts'
import { rocky } from '../../distros/rocky.ts'
import { ubuntu } from '../../distros/ubuntu.ts'
import type { Distro } from '../../distros/distro.ts'
import { guestOf } from '../../lib/methods/guest.ts'
import { maas, uploadCommand } from '../../lib/targets/maas.ts'
import { targetOf, TARGETS } from '../../lib/targets/targets.ts'
import { recipeOf } from '../recipe-of.ts'

async function guestFor(distro: Distro, ...argv: string[]) {
  const recipe = await recipeOf(distro, argv)
  const guest = guestOf(distro, recipe, [])
  return { recipe, guest, env: guest.setup[0]!.env }
}
const finished = {
  name: 'ubuntu-22.04',
  title: 'Ubuntu 22.04 (jammy)',
  format: 'tgz',
  arch: 'amd64',
  image: '/data/bits/custom-cloudimg.tar.gz',
  user: 'ubuntu',
  variables: {},
} as const

const uploading = suite('uploadCommand()')
uploading('is the line of the MAAS client', () => {
  assert.is(
    uploadCommand(finished),
    "maas admin boot-resources create name='custom/ubuntu-22.04' title='Ubuntu 22.04 (jammy)' " +
      "architecture='amd64/generic' filetype='tgz' content@=/data/bits/custom-cloudimg.tar.gz",
  )
})
uploading(
  'names the system that MAAS is to take it for, and quotes what a shell would read',
  () => {
    const line = uploadCommand({
      ...finished,
      title: "It's",
      base: 'rhel/9',
      image: '/a b/x.dd.gz',
    })
    assert.match(line, / title='It'\\''s' .* base_image='rhel\/9' .* content@='\/a b\/x\.dd\.gz'$/)
  },
)
uploading('says for which machines it is', () => {
  assert.match(uploadCommand({ ...finished, arch: 'arm64' }), / architecture='arm64\/generic' /)
})
uploading('says who logs in', () => {
  assert.match(maas.handOver(finished).at(-1)!, /as ubuntu,/)
})
uploading.run()

const guest = suite('the guest')
guest('of each target: files that exist', () => {
  const here = (path: string) =>
    existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)))
  for (const name of TARGETS) {
    const { name: own, files, guestTools } = targetOf({ target: name })
    assert.is(own, name)
    for (const { from } of files) assert.ok(here(from), from)
    assert.ok(here(guestTools.directory) && here(guestTools.install))
  }
})
guest('of MAAS has nothing of SmartOS, and asks MAAS', async () => {
  const { guest, env } = await guestFor(debian, '12', '--target', 'maas')
  const text = JSON.stringify(guest)
  assert.not.match(text, /smartos|sdc-vmtools|tsc=reliable|ifnames/i)
  assert.match(text, /90_maas\.cfg/)
  assert.is(env['TARGET'], 'maas')
  assert.is(env['CLOUD_USER'], 'debian')
})
guest('of SmartOS has nothing of MAAS', async () => {
  const { guest, env, recipe } = await guestFor(debian, '12')
  assert.not.match(JSON.stringify(guest.files), /90_maas/)
  assert.match(JSON.stringify(guest), /90_smartos\.cfg.*sdc-vmtools/)
  assert.is(env['MADE_FOR'], 'Triton and SmartOS')
  assert.is(recipe.target, 'smartos')
})
for (const [distro, argv, custom, usual, kernels] of [
  // MAAS has kernels for Ubuntu alone.
  [debian, ['12'], '', 'linux-image-amd64', []],
  [ubuntu, ['22.04'], '', '', []],
  [ubuntu, ['jammy', '--kernel', 'linux-lowlatency'], 'linux-lowlatency', '', ['linux-lowlatency']],
  [ubuntu, ['22.04', '--format', 'ddgz'], '', '', ['linux-image-generic']],
  [debian, ['13', '--format', 'ddgz'], '', 'linux-image-amd64', ['linux-image-amd64']],
] as [Distro, string[], string, string, string[]][]) {
  guest(
    `${distro.name} ${argv.join(' ')}: its kernel, and the one that curtin is told`,
    async () => {
      const { env, recipe } = await guestFor(distro, ...argv, '--target', 'maas')
      assert.is(env['CUSTOM_KERNEL'], custom)
      assert.is(env['DEFAULT_KERNEL'], usual)
      const found = recipe.packages.filter((name) => /^linux-/.test(name))
      assert.equal(found, kernels)
      const loaders = recipe.packages.filter((name) => /^grub|^shim/.test(name))
      assert.is(loaders.length > 0, recipe.format === 'ddgz', loaders.join())
    },
  )
}
guest('of arm64: a console that firmware names, and the loaders that boot there', async () => {
  const words = ['--target', 'maas', '--arch', 'arm64', '--format', 'ddgz']
  const { env } = await guestFor(debian, '12', ...words)
  assert.equal([env['KERNEL_ARGUMENTS'], env['GRUB_TERMINALS'], env['SERIAL']], ['', 'console', ''])
  assert.equal(
    [env['GRUB_BIOS'], env['GRUB_EFI'], env['EFI_SUFFIX'], env['DEFAULT_KERNEL']],
    ['', 'arm64-efi', 'aa64', 'linux-image-arm64'],
  )
  const pc = (await guestFor(debian, '12', '--target', 'maas')).env
  assert.is(pc['KERNEL_ARGUMENTS'], 'console=tty0 console=ttyS0,115200n8')
  assert.equal(
    [pc['GRUB_BIOS'], pc['GRUB_EFI'], pc['EFI_SUFFIX'], pc['SERIAL']],
    ['i386-pc', 'x86_64-efi', 'x64', 'ttyS0'],
  )
})
guest('of a distribution that only its installer can build', async () => {
  const { env, recipe } = await guestFor(rocky, '9', '--target', 'maas', '--format', 'ddgz')
  assert.is(env['CLOUD_USER'], 'cloud-user')
  assert.is(recipe.method, 'installer')
})
guest.run()
