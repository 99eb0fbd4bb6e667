/** A golden image for libvirt as an operator builds it. What its instances are, libvirt.images.ts shows. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Golden, buildGolden } from '../golden.ts'
import { assertNothingLeft, leftovers, workDir } from '../live.ts'

const { dir, remove } = await workDir()
let built: Golden

const image = suite('create-image-debian --target libvirt')
image.after(remove)
image('builds a golden image, and says how an instance of it is made', async () => {
  const before = leftovers()
  built = await buildGolden(dir)
  const { path, bytes } = built.image
  assert.equal((await readdir(dirname(path))).sort(), [
    'golden.lock.json',
    'golden.provenance.json',
    'golden.qcow2',
    'golden.qcow2.sha256',
    'golden.report.html',
    'golden.sbom.cdx.json',
  ])
  execFileSync('sha256sum', ['--quiet', '-c', `${path}.sha256`], { cwd: dirname(path) })
  assert.is((await stat(path)).size, bytes)
  assert.match(built.handOver[0]!, /: virt-install --import --name my-golden /)
  assertNothingLeft(before)
})
image('is a qcow2 file that qemu-img finds sound, small and of the size that was asked for', () => {
  const { path } = built.image
  const json = (...words: string[]) =>
    JSON.parse(
      execFileSync('qemu-img', [...words, '--output=json', path], { encoding: 'utf8' }),
    ) as {
      'virtual-size': number
      'check-errors': number
      'compressed-clusters': number
    }
  assert.is(json('info')['virtual-size'], 4 * 1024 ** 3)
  const check = json('check')
  assert.is(check['check-errors'], 0)
  assert.ok(check['compressed-clusters'] > 0)
})
image('is the same bytes when the same packages are set up again', async () => {
  const [own] = await readdir(join(dir, 'cache/stages'))
  const stages = join(dir, 'cache/stages', own!)
  const names = await readdir(stages)
  for (const name of names.filter((one) => /^(system|image)-/.test(one))) {
    await rm(join(stages, name), { recursive: true })
  }
  const again = await buildGolden(dir, ['--locked', built.lock])
  assert.is(again.image.sha256, built.image.sha256)
  assert.not.equal(again.image.path, built.image.path)
})
image.run()
