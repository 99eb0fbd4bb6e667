import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { HostError } from '../../lib/cli/errors.ts'
import { chooseAccelerator } from '../../lib/host/accelerator.ts'
import type { QemuFeature } from '../../lib/host/qemu.ts'
import { inTemporaryDir } from '../temporary.ts'

/** A stand-in for QEMU that ends as told, and an ordinary file for /dev/kvm. */
async function withQemu<T>(script: string, use: (device: string) => Promise<T>): Promise<T> {
  return inTemporaryDir(async (dir) => {
    const path = process.env['PATH']
    process.env['PATH'] = `${dir}${delimiter}${path}`
    const qemu = join(dir, 'qemu-system-x86_64')
    await writeFile(qemu, `#!/bin/sh\n${script}\n`)
    await chmod(qemu, 0o755)
    await writeFile(join(dir, 'kvm'), '')
    try {
      return await use(join(dir, 'kvm'))
    } finally {
      process.env['PATH'] = path
    }
  })
}

const qemu = { program: 'qemu-system-x86_64', lacks: new Set<QemuFeature>() }

const choosing = suite('chooseAccelerator()')
choosing('takes KVM when the payload ends', () =>
  withQemu('exit 33', async (device) => {
    assert.equal(await chooseAccelerator('auto', qemu, device), { name: 'kvm', cpu: 'host' })
  }),
)
choosing('takes a plain processor when the host’s own is refused', () =>
  withQemu(
    'case "$*" in *"-cpu host"*) echo "error: MSR" >&2; exit 134;; esac; exit 33',
    async (device) => {
      assert.equal(await chooseAccelerator('auto', qemu, device), { name: 'kvm', cpu: 'qemu64' })
    },
  ),
)
choosing('emulates when KVM is there and does not work', () =>
  withQemu('echo "error: MSR" >&2; exit 1', async (device) => {
    assert.is((await chooseAccelerator('auto', qemu, device)).name, 'tcg')
  }),
)
choosing('emulates when there is no KVM', async () => {
  assert.is((await chooseAccelerator('auto', qemu, '/nonexistent/kvm')).name, 'tcg')
})
choosing('does not try what is not asked for', () =>
  withQemu('exit 33', async (device) => {
    assert.is((await chooseAccelerator('tcg', qemu, device)).name, 'tcg')
  }),
)
choosing('refuses KVM that does not work, with QEMU’s words', () =>
  withQemu('echo "error: failed to set MSR" >&2; exit 134', async (device) => {
    const error = await chooseAccelerator('kvm', qemu, device).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    assert.instance(error, HostError)
    assert.match((error as HostError).message, /failed to set MSR/)
  }),
)
choosing('says when the payload does not end', () =>
  withQemu('exit 124', async (device) => {
    const error = await chooseAccelerator('kvm', qemu, device).catch((reason: Error) => reason)
    assert.match((error as Error).message, /did not end within \d+ s/)
  }),
)
choosing('tries nothing for machines of another kind than the host', () =>
  withQemu('exit 0', async (device) => {
    const arch = process.arch === 'arm64' ? 'amd64' : 'arm64'
    const other = { ...qemu, arch } as const
    const { name, cpu } = await chooseAccelerator('auto', other, device)
    assert.equal(
      [name, cpu],
      ['tcg', arch === 'arm64' ? 'cortex-a72' : 'qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt'],
    )
    const error = await chooseAccelerator('kvm', other, device).catch((reason: Error) => reason)
    assert.instance(error, HostError)
    assert.match((error as Error).message, /runs machines of its host's own kind, which is not/)
  }),
)
choosing('has a payload that is a boot sector', async () => {
  const bytes = await readFile(new URL('../../lib/host/kvm-probe.bin', import.meta.url))
  assert.is(bytes.length, 512)
  assert.is(bytes.readUInt16LE(510), 0xaa55)
})
choosing.run()
