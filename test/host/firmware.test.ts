import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFirmware, firmwareTool, readDescriptor } from '../../lib/host/firmware.ts'
import { inTemporaryDir } from '../temporary.ts'

const descriptor = (change: object = {}) =>
  JSON.stringify({
    description: 'UEFI firmware',
    'interface-types': ['uefi'],
    mapping: {
      device: 'flash',
      executable: { filename: '/fw/CODE_4M.fd', format: 'raw' },
      'nvram-template': { filename: '/fw/VARS_4M.fd', format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-i440fx-*', 'pc-q35-*'] }],
    features: ['acpi-s3', 'verbose-dynamic'],
    ...change,
  })

const reading = suite('readDescriptor()')
reading('finds code and variables', () => {
  assert.equal(readDescriptor(descriptor(), 'pc-i440fx'), {
    code: '/fw/CODE_4M.fd',
    codeFormat: 'raw',
    variables: '/fw/VARS_4M.fd',
    variablesFormat: 'raw',
  })
})
const q35 = { targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }] }
const arm = { targets: [{ architecture: 'aarch64', machines: ['virt-*'] }] }
for (const [what, change] of [
  ['for another kind of machine', q35],
  ['for another architecture', arm],
  ['that needs SMM', { features: ['requires-smm'] }],
  ['that refuses unsigned systems', { features: ['enrolled-keys', 'secure-boot'] }],
  ['that is a BIOS', { 'interface-types': ['bios'] }],
  ['in another kind of memory', { mapping: { device: 'memory', filename: '/x' } }],
] as const) {
  reading(`passes over firmware ${what}`, () =>
    assert.is(readDescriptor(descriptor(change), 'pc-i440fx'), undefined),
  )
}
reading('is of the architecture that a family of machines has', () => {
  assert.is(readDescriptor(descriptor(arm), 'virt')?.code, '/fw/CODE_4M.fd')
  assert.is(readDescriptor(descriptor(), 'virt'), undefined)
})
reading.run()

const finding = suite('findFirmware()')
finding('takes the first that suits and is there, the administrator’s before the vendor’s', () =>
  inTemporaryDir(async (dir) => {
    const [own, vendor] = [join(dir, 'etc'), join(dir, 'usr')]
    await mkdir(own)
    await mkdir(vendor)
    const exists = (path: string) => path !== '/vendor-55'
    const named = (name: string) => ({
      mapping: {
        device: 'flash',
        executable: { filename: name, format: 'qcow2' },
        'nvram-template': { filename: '/v', format: 'qcow2' },
      },
    })
    await writeFile(join(vendor, '50-secure.json'), descriptor({ features: ['requires-smm'] }))
    await writeFile(join(vendor, '55-absent.json'), descriptor(named('/vendor-55')))
    await writeFile(join(vendor, '60-b.json'), descriptor(named('/vendor-60')))
    await writeFile(join(vendor, '70-c.json'), descriptor(named('/vendor-70')))
    assert.is(findFirmware('pc-q35', [own, vendor], exists)?.code, '/vendor-60')
    await writeFile(join(own, '99-mine.json'), descriptor(named('/mine')))
    assert.is(findFirmware('pc-q35', [own, vendor], exists)?.code, '/mine')
  }),
)
finding('finds nothing where nothing is', () => {
  assert.is(findFirmware('pc-q35', ['/nonexistent']), undefined)
})
finding('is a tool that a package brings', () => {
  assert.is(firmwareTool('pc-q35').apt, 'ovmf')
  assert.is(firmwareTool('virt').apt, 'qemu-efi-aarch64')
  assert.match(firmwareTool('no-such-machine').name, /^\//)
})
finding.run()
