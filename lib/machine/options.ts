/** Options of every command that runs a virtual machine in which something is installed. */
import { type OptionTable, parseCount, parseSeconds, parseSize } from '../cli/options.ts'
import { ACCELERATORS } from '../host/accelerator.ts'
import { HYPERVISORS } from '../host/hypervisor.ts'

export const machineOptions = {
  machine: {
    arg: 'NAME',
    choices: HYPERVISORS,
    default: 'qemu',
    help: "what runs it; bhyve is SmartOS' own",
  },
  accel: {
    arg: 'NAME',
    choices: ACCELERATORS,
    default: 'auto',
    help: 'auto tries whether KVM works and emulates where it does not',
  },
  'qemu-binary': { arg: 'PATH', help: "QEMU's program (default: the first of its usual names)" },
  memory: { arg: 'SIZE', default: '2G', parse: parseSize, help: 'memory of the machine' },
  cpus: { arg: 'N', default: '2', parse: parseCount, help: 'processors of the machine' },
  vnc: { arg: 'ADDR', default: '127.0.0.1', help: 'address that its screen is shown at' },
  timeout: {
    arg: 'TIME',
    default: '4h',
    parse: parseSeconds,
    help: 'limit of the installation: seconds, or as in 1h30m',
  },
} as const satisfies OptionTable
