/** What needs no libvirtd: libvirt.live.ts has one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { libvirtPublisher, volumeName } from '../../lib/publish/libvirt.ts'
import { refusal } from '../refusal.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'
import { publicationOf, publish } from './publication.ts'

/** libvirt's own make-believe driver, without this pool; where there is no virsh it is not asked. */
const OPTIONS = { connect: 'test:///default', pool: 'none', 'pool-dir': undefined }
const BYTES = 3 * 1024 ** 2 + 5

const named = suite('volumeName()')
const image = { path: '', format: 'qcow2', bytes: 1, sha1: '', sha256: '' } as const
const publication = { name: 'golden', image, manifest: undefined, others: [] }
for (const [version, stamp, name] of [
  ['20260508', 'main-20260508T120000Z-abc', 'golden-20260508.qcow2'],
  [undefined, 'main-20260508T120000Z-abc', 'golden-main-20260508T120000Z-abc.qcow2'],
  [undefined, undefined, 'golden.qcow2'],
] as const) {
  named(name, () => assert.is(volumeName({ ...publication, version, stamp }), name))
}
named.run()

const directory = suite('libvirtPublisher() with a directory')
directory('copies the image, and says how an instance is made', () =>
  inTemporaryDir(async (dir) => {
    const golden = await publicationOf(join(dir, 'golden.qcow2'), BYTES)
    const pool = join(dir, 'pool')
    await mkdir(pool)
    const notes: string[] = []
    const publisher = libvirtPublisher({ ...OPTIONS, 'pool-dir': pool })
    const published = await publish(publisher, golden, notes)
    const path = join(pool, 'golden-20261129.qcow2')
    assert.equal(await readdir(pool), ['golden-20261129.qcow2'])
    assert.equal(await readFile(path), await readFile(golden.image.path))
    assert.is(published.existed, false)
    assert.is(published.where, path)
    assert.match(
      published.lines[0]!,
      `--disk size=20,backing_store=${path},backing_format=qcow2 --network`,
    )
    assert.match(notes.at(-1)!, /^3\.0 of 3\.0 MiB, [\d.]+ MiB\/s$/)
    assert.is((await publish(publisher, golden)).existed, true)
  }),
)
directory('leaves another image of that name as it is', () =>
  inTemporaryDir(async (dir) => {
    const golden = await publicationOf(join(dir, 'golden.qcow2'), BYTES)
    const path = join(dir, 'golden-20261129.qcow2')
    await copyFile(golden.image.path, path)
    const before = await readFile(path)
    const other = await publicationOf(join(dir, 'golden.qcow2'), BYTES)
    const publisher = libvirtPublisher({ ...OPTIONS, 'pool-dir': dir })
    assert.match(await refusal(publish(publisher, other)), /another image of that name is there$/)
    assert.equal(await readFile(path), before)
  }),
)
directory('leaves nothing behind when it fails', () =>
  inTemporaryDir(async (dir) => {
    const golden = await publicationOf(join(dir, 'golden.qcow2'), BYTES)
    await writeFile(golden.image.path, 'other')
    const pool = join(dir, 'pool')
    const publisher = libvirtPublisher({ ...OPTIONS, 'pool-dir': pool })
    assert.match(await refusal(publish(publisher, golden)), /no such file or directory$/)
    await mkdir(pool)
    assert.match(await refusal(publish(publisher, golden)), /the file changed meanwhile$/)
    assert.equal(await readdir(pool), [])
  }),
)
directory.run()

const volumes = suite('libvirtPublisher()')
volumes('takes qcow2 images', () =>
  inTemporaryDir(async (dir) => {
    const disk = await publicationOf(join(dir, 'golden.dd.gz'), 100)
    const error = await errorOf(() => publish(libvirtPublisher(OPTIONS), disk))
    assert.match(error.message, /to libvirt: it is dd\.gz$/)
    assert.match(error.hint!, /convert-image IN OUT\.qcow2/)
  }),
)

const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))
const script = fileURLToPath(new URL('./publish-one.ts', import.meta.url))
function command(words: string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [launcher, script, '--to', 'libvirt', ...words], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
}
volumes('--dry-run asks nobody', () =>
  inTemporaryDir(async (dir) => {
    const { image } = await publicationOf(join(dir, 'golden.qcow2'), 100)
    const words = [image.path, '--connect', 'qemu+ssh://nowhere.invalid/system', '--dry-run']
    const { status, stderr, stdout } = command(words)
    assert.is(status, 0)
    assert.match(stderr, /# upload \S+ as volume default\/golden-20261129\.qcow2 at qemu\+ssh:/)
    const { lines } = JSON.parse(stdout) as { lines: string[] }
    assert.match(lines[1]!, /virt-install --connect \S+ .*--disk vol=default\/my-golden\.qcow2 /)
  }),
)
volumes('without virsh it says what to install', () =>
  inTemporaryDir(async (dir) => {
    const { image } = await publicationOf(join(dir, 'golden.qcow2'), 100)
    await mkdir(join(dir, 'bin'))
    await symlink(process.execPath, join(dir, 'bin/node'))
    await symlink('/bin/bash', join(dir, 'bin/bash'))
    const { status, stderr } = command([image.path], { PATH: join(dir, 'bin') })
    assert.is(status, 3)
    assert.match(stderr, /virsh is not in \$PATH\n {2}Install it: apt-get install libvirt-clients/)
  }),
)
volumes.run()
