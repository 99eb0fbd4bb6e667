/**
 * A virtual machine, whatever runs it. On the serial console its first bytes are never lost: the machine
 * stands still until we are connected.
 */
import type { Scope } from '../cli/scope.ts'
import type { BhyveHypervisor, Hypervisor, QemuHypervisor } from '../host/hypervisor.ts'
import { startBhyve } from './bhyve-machine.ts'
import { startQemu } from './qemu-machine.ts'
import type { Machine, MachineSpec } from './spec.ts'

const isQemu = <S extends { hypervisor: Hypervisor }>(
  spec: S,
): spec is S & { hypervisor: QemuHypervisor } => spec.hypervisor.name === 'qemu'

const isBhyve = <S extends { hypervisor: Hypervisor }>(
  spec: S,
): spec is S & { hypervisor: BhyveHypervisor } => spec.hypervisor.name === 'bhyve'

/**
 * Start a machine.
 *
 * @param logPath serial log, appended to
 * @throws {BuildError} with the hypervisor's words when it does not start
 */
export async function startMachine(
  spec: MachineSpec,
  scope: Scope,
  logPath: string,
): Promise<Machine> {
  if (isQemu(spec)) return startQemu(spec, scope, logPath)
  if (isBhyve(spec)) return startBhyve(spec, scope, logPath)
  throw new Error('A hypervisor of no known kind')
}
