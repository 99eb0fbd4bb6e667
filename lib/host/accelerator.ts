/**
 * Which of QEMU's accelerators this machine can use.
 *
 * A /dev/kvm that can be opened may still not work, or be slower than emulation: it happens in
 * virtual machines that offer it half. So KVM is tried, with a tiny payload and a short limit.
 */
import { accessSync, constants } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $ } from '../cli/run.ts'

export const ACCELERATORS = ['auto', 'kvm', 'tcg'] as const
export type AcceleratorChoice = (typeof ACCELERATORS)[number]

export type Accelerator = {
  name: 'kvm' | 'tcg'
  /** CPU model that works with it. */
  cpu: string
}

/** A plain named model: under emulation "max" makes kernels panic at random. */
const tcg: Accelerator = { name: 'tcg', cpu: 'Nehalem' }

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
  return { ...accelerator, cpu: 'Haswell-noTSX' }
}

/** Tried in this order: some nested hypervisors refuse a register of the host's own model. */
const KVM_MODELS = ['host', 'qemu64'] as const

const payload = fileURLToPath(new URL('kvm-probe.bin', import.meta.url))
/** What the payload makes QEMU exit with. */
const PROBE_PASSED = 33
/** A working KVM needs half a second, emulation less than one. */
const PROBE_SECONDS = 5

/** QEMU's words for one trial. */
export function probeWords(cpu: string, qemu = 'qemu-system-x86_64'): string[] {
  return [
    ...['timeout', '--kill-after=2', String(PROBE_SECONDS)],
    qemu,
    ...['-accel', 'kvm'],
    ...['-cpu', cpu],
    ...['-m', '64M'],
    ...['-nodefaults', '-display', 'none'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ...['-drive', `file=${payload},format=raw,if=ide,snapshot=on`],
  ]
}

/** Whether KVM works: the CPU model that it works with, or why not. */
async function probeKvm(
  device: string,
  qemu: string | undefined,
): Promise<{ cpu: string } | { why: string }> {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    return { why: `${device} is missing, or may not be used by this user` }
  }
  let why = ''
  for (const cpu of KVM_MODELS) {
    const { exitCode, stderr } = await $({
      nothrow: true,
      readOnly: true,
    })`${probeWords(cpu, qemu)}`
    if (exitCode === PROBE_PASSED) return { cpu }
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
  { device = '/dev/kvm', qemu }: { device?: string; qemu?: string | undefined } = {},
): Promise<Accelerator> {
  if (choice === 'tcg') return tcg
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
