/**
 * Which of QEMU's accelerators this machine can use.
 *
 * A /dev/kvm that can be opened may still not work, or be slower than emulation: it happens in
 * virtual machines that offer it half. So KVM is tried, with a tiny payload and a short limit.
 */
import { accessSync, constants } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Arch } from '../../distros/distro.ts'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $, type Output } from '../cli/run.ts'
import { hostArch } from './arch.ts'
import type { QemuLacks } from './qemu.ts'

export const ACCELERATORS = ['auto', 'kvm', 'tcg'] as const
export type AcceleratorChoice = (typeof ACCELERATORS)[number]

export type Accelerator = {
  name: 'kvm' | 'tcg'
  /** CPU model that works with it. */
  cpu: string
}

export type QemuProgram = {
  program: string
  lacks: QemuLacks
  /** Of its machines. */
  arch?: Arch | undefined
}

/**
 * Plain models: under emulation "max" makes kernels panic at random. Those of x86 are AMD's, which kernels do not
 * protect from Meltdown: that would cost a flush of the emulated TLB at every system call. QEMU's own, and level 2.
 */
const EMULATED: Readonly<Record<Arch, string>> = {
  amd64: 'qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt',
  arm64: 'cortex-a72',
}

/** What some systems need, by the levels of the x86-64 psABI. */
export const CPU_LEVELS = ['x86-64-v2', 'x86-64-v3'] as const
export type CpuLevel = (typeof CPU_LEVELS)[number]

/**
 * The accelerator for a guest that asks for more of its processor (levels of the x86-64 psABI).
 * Under KVM the host's own has it or has not.
 */
export function withCpu(accelerator: Accelerator, level?: CpuLevel): Accelerator {
  // The first model is of level 2 already.
  if (accelerator.name === 'kvm' || level !== 'x86-64-v3') return accelerator
  return { ...accelerator, cpu: 'EPYC,-svm' }
}

/** Tried in this order: some nested hypervisors refuse a register of the host's own model. */
const KVM_MODELS: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ['host', 'qemu64'],
  arm64: ['host'],
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))
/** What the payload makes QEMU exit with: that of amd64 by the exit device, that of arm64 by switching off. */
const PASSED: Readonly<Record<Arch, number>> = { amd64: 33, arm64: 0 }
/** A working KVM needs half a second, emulation less than one. */
const PROBE_SECONDS = 5

/** The words that choose an accelerator. */
export function acceleratorWords(name: Accelerator['name'], lacks: QemuLacks): string[] {
  if (!lacks.has('accel')) return ['-accel', name === 'tcg' ? 'tcg,thread=multi' : name]
  if (name === 'kvm') return lacks.has('enable-kvm') ? [] : ['-enable-kvm']
  return lacks.has('no-kvm') ? [] : ['-no-kvm']
}

/** QEMU's words for one trial. */
export function probeWords(
  cpu: string,
  qemu: string,
  lacks: QemuLacks,
  accelerator: Accelerator['name'] = 'kvm',
  arch: Arch = 'amd64',
): string[] {
  const payload = {
    amd64: [
      ...(lacks.has('exit device') ? [] : ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1']),
      ...['-drive', `file=${file('kvm-probe.bin')},format=raw,if=ide,snapshot=on`],
    ],
    arm64: ['-machine', 'virt,gic-version=max', '-kernel', file('kvm-probe-arm64.bin')],
  }
  return [
    ...['timeout', '-k', '2', String(PROBE_SECONDS)],
    qemu,
    ...acceleratorWords(accelerator, lacks),
    ...['-cpu', cpu],
    ...['-m', '64'],
    ...['-nodefaults', ...(lacks.has('display') ? ['-vnc', 'none'] : ['-display', 'none'])],
    '-no-reboot',
    ...payload[arch],
  ]
}

/** Without the exit device the payload ends by a reset; an old QEMU goes on without KVM, and says so. */
function passed({ exitCode, stderr }: Output, lacks: QemuLacks, arch: Arch): boolean {
  if (arch !== 'amd64' || !lacks.has('exit device')) return exitCode === PASSED[arch]
  return exitCode === 0 && !/kvm/i.test(stderr)
}

/** Whether KVM works: the CPU model that it works with, or why not. */
async function probeKvm(
  device: string,
  { program, lacks, arch = 'amd64' }: QemuProgram,
): Promise<{ cpu: string } | { why: string }> {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    return { why: `${device} is missing, or may not be used by this user` }
  }
  let why = ''
  for (const cpu of KVM_MODELS[arch]) {
    const ended = await $({
      nothrow: true,
      readOnly: true,
    })`${probeWords(cpu, program, lacks, 'kvm', arch)}`
    if (passed(ended, lacks, arch)) return { cpu }
    const { exitCode, stderr } = ended
    // What timeout exits with at the limit.
    why = [124, 137].includes(exitCode)
      ? `${device} is there, but a small program did not end within ${PROBE_SECONDS} s under it`
      : `${device} is there, but QEMU says: ${stderr.trim().split('\n')[0]}`
  }
  return { why }
}

/**
 * The accelerator to use, tried out where it matters.
 *
 * @throws {HostError} when KVM is asked for and does not work
 */
export async function chooseAccelerator(
  choice: AcceleratorChoice,
  qemu: QemuProgram,
  device = '/dev/kvm',
): Promise<Accelerator> {
  const { arch = 'amd64' } = qemu
  const tcg: Accelerator = { name: 'tcg', cpu: EMULATED[arch] }
  if (choice === 'tcg') return tcg
  if (arch !== hostArch()) {
    const why = `it runs machines of its host's own kind, which is not ${arch}`
    if (choice === 'kvm') {
      throw new HostError(`Cannot use KVM: ${why}`, { hint: 'Choose --accel tcg: emulation' })
    }
    log.info(`KVM can't be used (${why}): emulating`)
    return tcg
  }
  const probe = await probeKvm(device, qemu)
  if ('cpu' in probe) return { name: 'kvm', cpu: probe.cpu }
  if (choice === 'kvm') {
    throw new HostError(`Cannot use KVM: ${probe.why}`, {
      hint: 'Choose --accel tcg: emulation, several times slower',
    })
  }
  log.warn(`KVM can't be used (${probe.why}): emulating, which is several times slower`)
  return tcg
}
