/** The payload that KVM is tried with: made of its source, and ended by a working machine. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { chooseAccelerator, probeWords, withCpu } from '../../lib/host/accelerator.ts'
import type { QemuFeature } from '../../lib/host/qemu.ts'
import { needPackages, root } from '../live.ts'

needPackages({
  as: 'binutils',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
})

const qemu = { program: 'qemu-system-x86_64', lacks: new Set<QemuFeature>() }
const plain = await chooseAccelerator('tcg', qemu)
const payload = join(root, 'lib/host/kvm-probe.bin')

const probe = suite('kvm-probe')
probe('is what its source says', () => {
  const dir = mkdtempSync('/tmp/kvm-probe-')
  try {
    const [object, binary] = [join(dir, 'probe.o'), join(dir, 'probe.bin')]
    execFileSync('as', ['--64', '-o', object, join(root, 'lib/host/kvm-probe.S')])
    const flat = ['-m', 'elf_x86_64', '-Ttext', '0x7c00', '--oformat', 'binary']
    execFileSync('ld', [...flat, '-o', binary, object])
    assert.equal(readFileSync(payload), readFileSync(binary))
  } finally {
    rmSync(dir, { recursive: true })
  }
})
probe('ends a machine that works, here an emulated one', () => {
  const words = probeWords('qemu64', 'qemu-system-x86_64', new Set(), 'tcg')
  const { status, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
  assert.is(status, 33, stderr)
})
probe('ends it by a reset, where QEMU is too old for more', () => {
  const words = probeWords('qemu64', 'qemu-system-x86_64', new Set(['exit device']), 'tcg')
  assert.not.ok(words.join(' ').includes('isa-debug-exit'))
  const { status, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
  assert.is(status, 0, stderr)
})
probe.run()

/** Properties of QEMU's processor by level of the psABI, without those that any 64-bit processor has. */
const V2 = ['cx16', 'lahf-lm', 'popcnt', 'pni', 'sse4.1', 'sse4.2', 'ssse3']
const V3 = [...V2, 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave']

/** What an emulated processor is, and has of some properties. */
function emulated(cpu: string, properties: string[]) {
  const of = (property: string) => ({
    execute: 'qom-get',
    arguments: { path: '/machine/unattached/device[0]', property },
  })
  const asks = [{ execute: 'qmp_capabilities' }, ...['vendor', ...properties].map(of)]
  const machine = ['-accel', 'tcg', '-cpu', cpu, '-m', '64', '-nodefaults', '-display', 'none']
  const { stdout, stderr } = spawnSync('qemu-system-x86_64', [...machine, '-S', '-qmp', 'stdio'], {
    encoding: 'utf8',
    input: [...asks, { execute: 'quit' }].map((ask) => JSON.stringify(ask)).join('\n'),
  })
  const [, vendor, ...values] = [...stdout.matchAll(/"return": ("?\w+"?|\{\})/g)].map(([, v]) => v)
  return { vendor, missing: properties.filter((_, i) => values[i] !== 'true'), stderr }
}

const models = suite('emulated processors')
models('are of the level that is asked for, in QEMU’s own words', () => {
  assert.equal(emulated(plain.cpu, V2).missing, [])
  assert.equal(emulated(withCpu(plain, 'x86-64-v2').cpu, V2).missing, [])
  assert.equal(emulated(withCpu(plain, 'x86-64-v3').cpu, V3).missing, [])
  assert.ok(emulated(plain.cpu, V3).missing.includes('avx2'), 'what has no such thing is told')
})
models('are of a vendor whose processors kernels do not slow down by page table isolation', () => {
  for (const { cpu } of [plain, withCpu(plain, 'x86-64-v3')]) {
    assert.is(emulated(cpu, []).vendor, '"AuthenticAMD"')
  }
})
models('are complained of by nobody', () => assert.is(emulated(plain.cpu, []).stderr, ''))
models.run()
