/** A root tar for MAAS with a kernel, and the same bytes of the same inputs. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { workDir } from '../live.ts'
import { checkFiles, maasBuilder } from '../maas.ts'

const { dir, remove } = await workDir()
const build = await maasBuilder(dir)
const root = join(dir, 'root')
const inRoot = (path: string) => readFile(join(root, path), 'utf8')

const tgz = suite('create-image-debian --target maas --format tgz')
tgz.after(remove)
tgz('--kernel: the kernel with its initramfs, and its name for curtin', async () => {
  await mkdir(root)
  const kernel = 'linux-image-cloud-amd64'
  const name = ['--name', 'custom-cloudimg.tar.gz']
  const other = await build('--target', 'maas', '--kernel', kernel, ...name)
  await checkFiles(other, /^custom-cloudimg\.tar\.gz$/)
  execFileSync('tar', ['-C', root, '-xpf', other.image.path, './boot', './curtin'])
  assert.is(await inRoot('curtin/CUSTOM_KERNEL'), kernel)
  const boot = await readdir(join(root, 'boot'))
  assert.ok(
    boot.some((file) => /^vmlinuz-.*cloud-amd64$/.test(file)),
    boot.join(),
  )
  assert.ok(
    boot.some((file) => /^initrd\.img-.*cloud-amd64$/.test(file)),
    boot.join(),
  )
})
tgz('the same bytes at another place, and on a disk', async () => {
  const elsewhere = join(dir, 'elsewhere')
  await mkdir(elsewhere)
  const other = await maasBuilder(elsewhere)
  const [one, two] = [
    await build('--target', 'maas'),
    await other('--target', 'maas', '--work', 'disk'),
  ]
  assert.is(two.image.sha256, one.image.sha256)
})
tgz.run()
