/** What runs virtual machines on this host: QEMU, or SmartOS' bhyve; found, and asked what it can do. */
import { existsSync } from 'node:fs'
import type { Arch } from '../../distros/distro.ts'
import { HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import {
  type Accelerator,
  type AcceleratorChoice,
  chooseAccelerator,
  type CpuLevel,
  withCpu,
} from './accelerator.ts'
import { ensureBuildNetwork } from './build-network.ts'
import { firmwareTool } from './firmware.ts'
import { asRoot } from './privileges.ts'
import { askQemu, findQemu, type QemuLacks, qemuTool } from './qemu.ts'
import { findTool, MACHINE_TOOLS, type Tool } from './tools.ts'

export const HYPERVISORS = ['qemu', 'bhyve'] as const
export type HypervisorName = (typeof HYPERVISORS)[number]

export type QemuHypervisor = {
  name: 'qemu'
  program: string
  lacks: QemuLacks
  accelerator: Accelerator
  /** Words before its own by which a machine does not outlive us, however we end. */
  leash: readonly string[]
}

export type BhyveHypervisor = {
  name: 'bhyve'
  /** Reads settings from a file, which keeps the screen's password out of the list of processes. */
  readsFile: boolean
}

export type Hypervisor = QemuHypervisor | BhyveHypervisor

export type HypervisorWishes = {
  machine: HypervisorName
  accel: AcceleratorChoice
  /** Of its machines; amd64 where nothing is said. */
  arch?: Arch
  /** QEMU's program, where the operator names it. */
  qemu: string | undefined
  cpu?: CpuLevel | undefined
}

/** SmartOS' program, and what a zone needs to be given for it. */
export const BHYVE = 'bhyve'
const BHYVE_DEVICES = ['/dev/vmmctl', '/dev/viona']

/** Programs and files that machines need, for ensureTools(). */
export function hypervisorTools({
  machine,
  arch = 'amd64',
  qemu: given,
}: HypervisorWishes): Tool[] {
  if (machine === 'bhyve') return [] // SmartOS has it, or it has not: chooseHypervisor() says
  const { timeout, setpriv } = MACHINE_TOOLS
  const present = findQemu(given, findTool, arch)
  return [
    ...[timeout, setpriv],
    ...(present === undefined ? [qemuTool(arch)] : []),
    // Debian has the firmware in packages of their own.
    ...firmwareTools(arch, present),
  ]
}

/** What the machines of an architecture start from, unless the operator wants another. */
function firmwareTools(arch: Arch, qemu: string | undefined): Tool[] {
  if (arch !== 'amd64') return [firmwareTool('virt')]
  return qemu === undefined || qemu.endsWith('/bin/qemu-system-x86_64')
    ? [MACHINE_TOOLS.seabios]
    : []
}

/**
 * The hypervisor to use, tried out where it matters.
 *
 * @throws {HostError} when this machine can't run it
 */
export async function chooseHypervisor(wishes: HypervisorWishes): Promise<Hypervisor> {
  return wishes.machine === 'bhyve' ? chooseBhyve() : chooseQemu(wishes)
}

/** As chooseHypervisor(), of what only QEMU can do. */
export async function chooseQemu(
  wishes: Omit<HypervisorWishes, 'machine'>,
): Promise<QemuHypervisor> {
  const { arch = 'amd64' } = wishes
  const found = findQemu(wishes.qemu, findTool, arch)
  // With --dry-run it may be missing still: then it is what would be installed.
  const program = found ?? qemuTool(arch).name
  const lacks: QemuLacks = found === undefined ? new Set() : await askQemu(found)
  // A trial of KVM takes seconds, and is no part of what would be done.
  const choice = session.dryRun && wishes.accel === 'auto' ? 'tcg' : wishes.accel
  const accelerator = await chooseAccelerator(choice, { program, lacks, arch })
  const leash = findTool('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []
  return { name: 'qemu', program, lacks, accelerator: withCpu(accelerator, wishes.cpu), leash }
}

async function chooseBhyve(): Promise<BhyveHypervisor> {
  if (session.dryRun) return { name: 'bhyve', readsFile: true }
  if (findTool(BHYVE) === undefined) {
    throw new HostError('Cannot use bhyve: there is no such program in $PATH', {
      hint: 'It is a part of SmartOS; elsewhere choose --machine qemu',
    })
  }
  const missing = BHYVE_DEVICES.filter((path) => !existsSync(path))
  if (missing.length > 0) {
    throw new HostError(`Cannot use bhyve: this zone has no ${missing.join(', ')}`, {
      hint: 'In the global zone: ./bin/setup-build-zone <this zone> --hypervisor bhyve',
    })
  }
  await ensureBuildNetwork()
  const { stdout, stderr } = await $({ nothrow: true, readOnly: true })`${asRoot(BHYVE, '-h')}`
  return { name: 'bhyve', readsFile: /^\s*-k\b/m.test(stdout + stderr) }
}
