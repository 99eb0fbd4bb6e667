/** The payload that KVM is tried with: made of its source, and ended by a working machine. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { probeWords } from '../../lib/host/accelerator.ts'
import { needPackages, root } from '../live.ts'

needPackages({
  as: 'binutils',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
})

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
  const words = probeWords('Nehalem', 'qemu-system-x86_64', new Set(), 'tcg')
  const { status, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
  assert.is(status, 33, stderr)
})
probe('ends it by a reset, where QEMU is too old for more', () => {
  const words = probeWords('Nehalem', 'qemu-system-x86_64', new Set(['exit device']), 'tcg')
  assert.not.ok(words.join(' ').includes('isa-debug-exit'))
  const { status, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
  assert.is(status, 0, stderr)
})
probe.run()
