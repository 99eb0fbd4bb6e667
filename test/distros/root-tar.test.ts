/** What is left of a system that ships as a root tar: the scripts, in a tree in place of the root. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const distros = fileURLToPath(new URL('../../distros', import.meta.url))

/** Run it with absolute paths below `root`; every program of `stubs` notes its words. */
async function runInside(
  root: string,
  name: string,
  { env, stubs }: { env: Record<string, string>; stubs: Record<string, string> },
) {
  const bin = join(root, 'stubs')
  await mkdir(bin)
  for (const [program, body] of Object.entries(stubs)) {
    const path = join(bin, program)
    await writeFile(path, `#!/bin/sh\necho "${program} $*" >>'${root}/log'\n${body}\n`)
    await chmod(path, 0o755)
  }
  await writeFile(join(root, 'log'), '')
  const text = (await readFile(join(distros, name), 'utf8')).replaceAll(
    /(?<=[\s"'>])\/(?=(boot|etc|lib|vmlinuz|initrd\.img)\b)/g,
    `${root}/`,
  )
  const { status, stdout, stderr } = spawnSync('sh', ['-c', text], {
    env: { PATH: `${bin}:${process.env['PATH']}`, ...env },
    encoding: 'utf8',
  })
  return { status, said: stdout + stderr, log: await readFile(join(root, 'log'), 'utf8') }
}
async function put(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

/** dpkg's answers about these packages, `name: what it depends on`. */
const dpkg = (packages: Record<string, string>) => `
case $3 in
*Depends*) case $4 in ${Object.entries(packages)
  .map(([name, depends]) => `${name}) echo '${depends}' ;;`)
  .join(' ')} esac ;;
*) shift 3; for pattern; do for name in ${Object.keys(packages).join(' ')}; do
  case $name in $pattern) echo "installed $name" ;; esac; done; done
  echo 'not-installed linux-image-gone' ;;
esac`
const KERNELS = {
  'linux-image-amd64': 'linux-image-6.1.0-2-amd64 (= 6.1.2), linux-base',
  'linux-image-6.1.0-1-amd64': 'kmod, linux-base (>= 4.3~)',
  'linux-image-6.1.0-2-amd64': 'kmod, linux-base (>= 4.3~)',
  'linux-image-cloud-amd64': 'linux-image-6.1.0-2-cloud-amd64',
  'linux-image-6.1.0-2-cloud-amd64': 'kmod | x, linux-base, linux-modules-6.1.0-2-cloud',
  'linux-modules-6.1.0-2-cloud': '',
  'linux-base': '',
}

const kernels = suite('debian/kernels.sh')
for (const [what, env, gone] of [
  [
    'leaves the one that was asked for',
    { CUSTOM_KERNEL: 'linux-image-cloud-amd64', FORMAT: 'zfs.gz' },
    'linux-image-amd64 linux-image-6.1.0-1-amd64 linux-image-6.1.0-2-amd64',
  ],
  [
    'leaves the newest, where none was',
    { CUSTOM_KERNEL: '', FORMAT: 'ddgz' },
    'linux-image-6.1.0-1-amd64',
  ],
  [
    'leaves none in a root tar',
    { CUSTOM_KERNEL: '', FORMAT: 'tgz' },
    Object.keys(KERNELS)
      .filter((name) => name !== 'linux-base')
      .join(' '),
  ],
] as const) {
  kernels(what, () =>
    inTemporaryDir(async (root) => {
      const { status, said, log } = await runInside(root, 'debian/kernels.sh', {
        env,
        stubs: { 'dpkg-query': dpkg(KERNELS), 'apt-get': '', 'debconf-set-selections': 'cat' },
      })
      assert.is(status, 0, said)
      assert.match(said, /removing-running-kernel boolean false/)
      const [purge] = log.split('\n').filter((line) => line.startsWith('apt-get '))
      assert.is(purge, `apt-get -q -y --allow-remove-essential purge ${gone}`)
    }),
  )
}
kernels('leaves all where nothing names the newest', () =>
  inTemporaryDir(async (root) => {
    const { status, log } = await runInside(root, 'debian/kernels.sh', {
      env: { CUSTOM_KERNEL: '', FORMAT: 'zfs.gz' },
      stubs: { 'dpkg-query': dpkg({ 'linux-image-6.1.0-1-amd64': '' }), 'apt-get': '' },
    })
    assert.is(status, 0)
    assert.not.match(log, /apt-get/)
  }),
)
kernels.run()

const debian = suite('debian/root-tar.sh')
for (const kernel of ['', 'linux-image-amd64']) {
  debian(`takes boot loaders away${kernel ? '' : ' and what kernels left'}`, () =>
    inTemporaryDir(async (root) => {
      await put(root, {
        'boot/vmlinuz-1': '',
        'boot/grub/grub.cfg': '',
        'boot/efi/x': '',
        'etc/fstab': 'UUID=1 /',
        'lib/modules/1/x': '',
      })
      const packages = { 'grub-pc': '', 'shim-signed': '', hello: '' }
      const { status, said, log } = await runInside(root, 'debian/root-tar.sh', {
        env: { CUSTOM_KERNEL: kernel },
        stubs: { 'dpkg-query': dpkg(packages), 'apt-get': '', findmnt: '', umount: '' },
      })
      assert.is(status, 0, said)
      assert.match(log, /^apt-get -q -y --allow-remove-essential purge grub-pc shim-signed$/m)
      assert.match(log, /^umount .*\/boot\/efi$/m)
      assert.equal(await readdir(join(root, 'boot')), kernel ? ['vmlinuz-1'] : [])
      assert.equal(await readdir(join(root, 'lib/modules')), kernel ? ['1'] : [])
      assert.is(await readFile(join(root, 'etc/fstab'), 'utf8'), '')
    }),
  )
}
debian.run()

const el = suite('el/root-tar.sh')
el('keeps kernel and loaders, and nothing that names the file systems of the build', () =>
  inTemporaryDir(async (root) => {
    await put(root, {
      'boot/efi/EFI/rocky/grub.cfg': 'search',
      'boot/efi/EFI/rocky/shimx64.efi': 'loader',
      'boot/grub2/grub.cfg': 'root=UUID=1',
      'boot/grub2/grubenv': 'kernelopts=root=UUID=1',
      'boot/loader/entries/a.conf': 'linux /vmlinuz-1\noptions root=UUID=1 ro\n',
      'boot/vmlinuz-1': '',
      'etc/fstab': 'UUID=1 /',
      'etc/kernel/cmdline': 'root=UUID=1',
    })
    const { status, said } = await runInside(root, 'el/root-tar.sh', {
      env: { EFI_VENDOR: 'rocky' },
      stubs: { findmnt: '', umount: '' },
    })
    assert.is(status, 0, said)
    assert.equal(await readdir(join(root, 'boot/efi/EFI/rocky')), ['shimx64.efi'])
    assert.is(
      await readFile(join(root, 'boot/loader/entries/a.conf'), 'utf8'),
      'linux /vmlinuz-1\noptions $kernelopts\n',
    )
    assert.equal((await readdir(join(root, 'boot'))).sort(), [
      'efi',
      'grub2',
      'loader',
      'vmlinuz-1',
    ])
    const left = spawnSync('grep', ['-rl', 'UUID=1', join(root, 'boot'), join(root, 'etc')])
    assert.is(left.stdout.toString(), '')
  }),
)
el.run()
