import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { debian } from '../../distros/debian.ts'
import { type Distro, onArch } from '../../distros/distro.ts'
import { rocky } from '../../distros/rocky.ts'
import { ubuntu } from '../../distros/ubuntu.ts'
import { UsageError } from '../../lib/cli/errors.ts'
import { guestOf } from '../../lib/methods/guest.ts'
import { libvirt, virtInstall } from '../../lib/targets/libvirt.ts'
import { resolveVariables } from '../../lib/targets/variables.ts'
import { errorOf } from '../temporary.ts'
import { recipeOf } from '../recipe-of.ts'

const folder = fileURLToPath(new URL('../../cloud-init/libvirt/', import.meta.url))
const libvirtRecipe = (distro: Distro, ...argv: string[]) =>
  recipeOf(distro, [distro.releases.at(-1)!.version, '--target', 'libvirt', ...argv])
const variables = await resolveVariables('libvirt', libvirt.variables, {
  var: [],
  'var-file': undefined,
})

const line = suite('virtInstall()')
line('makes an instance with a disk over the image, and a seed', () => {
  assert.is(
    virtInstall({
      name: 'golden',
      title: 'Debian 12',
      format: 'qcow2',
      arch: 'amd64',
      image: '/srv/golden image.qcow2',
      user: 'debian',
      variables: { ...variables, machine_type: 'pc-q35-5.2', vm_memory: '2048' },
    }),
    'virt-install --import --name my-golden --memory 2048 --vcpus 2 --machine pc-q35-5.2 ' +
      "--osinfo linux2020 --disk 'size=20,backing_store=/srv/golden image.qcow2,backing_format=qcow2' " +
      '--network network=default --graphics none --noautoconsole ' +
      '--cloud-init clouduser-ssh-key="$HOME/.ssh/id_ed25519.pub"',
  )
})
line('names an architecture that is not the usual one, and its firmware', () => {
  const line = virtInstall({
    name: 'golden',
    title: '',
    format: 'qcow2',
    arch: 'arm64',
    image: 'x.qcow2',
    user: 'debian',
    variables,
  })
  assert.match(line, / --arch aarch64 --boot uefi --osinfo /)
  assert.not.match(line, /--machine/)
})
line('says who logs in', () => {
  const said = libvirt.handOver({
    name: 'x',
    title: '',
    format: 'qcow2',
    arch: 'amd64',
    image: 'x.qcow2',
    user: 'debian',
    variables: { ...variables, admin_user: 'ops' },
  })
  assert.match(said.at(-1)!, /as ops,/)
})
line.run()

const recipe = suite('a recipe for libvirt')
recipe('has the packages of its variable, and the usual kernel', async () => {
  const { packages, format, fileName } = await libvirtRecipe(debian)
  for (const name of ['etckeeper', 'unattended-upgrades', 'linux-image-amd64']) {
    assert.ok(packages.includes(name), name)
  }
  assert.is(format, 'qcow2')
  assert.is(fileName, 'debian-13-20260508')
  const other = await libvirtRecipe(debian, '--var', 'packages=tmux')
  assert.ok(other.packages.includes('tmux'))
  assert.not(other.packages.includes('etckeeper'))
})
recipe(
  'is there for arm64, with its kernel and without words for consoles that it may not have',
  async () => {
    const arm = await libvirtRecipe(debian, '--arch', 'arm64')
    assert.ok(arm.packages.includes('linux-image-arm64'))
    const { setup } = guestOf(onArch(debian, 'arm64')!, arm, [])
    assert.is(setup[0]!.env['KERNEL_ARGUMENTS'], 'net.ifnames=0')
  },
)
recipe('names the file as it is told', async () => {
  assert.is((await libvirtRecipe(debian, '--name', 'golden.qcow2')).fileName, 'golden')
})
recipe('hands the variables to its scripts, and has a last one', async () => {
  const { setup, finish } = guestOf(
    ubuntu,
    await libvirtRecipe(ubuntu, '--var', 'route_metric=7'),
    [],
  )
  assert.is(setup.at(-1)!.env['VAR_ROUTE_METRIC'], '7')
  assert.match(finish.at(-1)!.path, /cloud-init\/libvirt\/last\.sh$/)
  assert.match(finish.at(-2)!.path, /clean-up\.sh$/)
  assert.not.match(JSON.stringify({ setup, finish }), /smartos|sdc-vmtools|curtin/i)
})
for (const [distro, argv, expected] of [
  [rocky, [], /^Rocky Linux can't be built for --target libvirt: it is set up by systemd-networkd/],
  [debian, ['--format', 'ddgz'], /^Option --format ddgz does not fit --target libvirt/],
  [debian, ['--disk', 'zvol'], /^Option --disk zvol does not fit --format qcow2/],
] as [Distro, string[], RegExp][]) {
  recipe(`refuses ${distro.name} ${argv.join(' ')}`, async () => {
    const error = await errorOf(() => libvirtRecipe(distro, ...argv))
    assert.instance(error, UsageError)
    assert.match(error.message, expected)
  })
}
recipe.run()

const files = suite('cloud-init/libvirt')
files('uses every variable that is not for the command itself', async () => {
  const texts = await Promise.all(
    (await readdir(folder)).map((name) => readFile(folder + name, 'utf8')),
  )
  const own = ['packages', 'machine_type', 'vm_memory', 'vm_cpus', 'compression']
  for (const name of Object.keys(libvirt.variables).filter((one) => !own.includes(one))) {
    const word = `VAR_${name.toUpperCase()}`
    assert.ok(
      texts.some((text) => new RegExp(`\\$${word}\\b`).test(text)),
      word,
    )
  }
})
files('has a value for each word between @', async () => {
  const install = await readFile(`${folder}install.sh`, 'utf8')
  for (const name of await readdir(folder)) {
    const text = await readFile(folder + name, 'utf8')
    for (const [word] of text.matchAll(/@[A-Z_]+@/g)) {
      assert.ok(install.includes(`s|${word}|`), `${name}: ${word}`)
    }
  }
})
files('is cloud-config that can be read once it is filled in', async () => {
  const template = await readFile(`${folder}90_libvirt.cfg`, 'utf8')
  const text = template
    .replace('@NO_RULE@', 'null')
    .replace('@SSH_KEY_TYPES@', 'ed25519,rsa')
    .replace(/@[A-Z_]+@/g, "'a b'")
  const content = parse(text) as Record<string, unknown>
  assert.equal(content['datasource_list'], ['NoCloud', 'ConfigDrive', 'None'])
  assert.equal(content['groups'], ['adm', 'sudo', 'sudonp'])
  assert.equal(content['network'], { config: 'disabled' })
  assert.equal(content['ssh_genkeytypes'], ['ed25519', 'rsa'])
})
files('has scripts that a shell can read', () => {
  for (const name of ['install.sh', 'last.sh']) execFileSync('sh', ['-n', folder + name])
})
files.run()
