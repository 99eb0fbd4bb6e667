/** The description of a virtual machine, and what is known of one that runs: QEMU's and bhyve's alike. */
import type { Hypervisor } from '../host/hypervisor.ts'
import type { SerialConsole } from './console.ts'
import type { HardwareName, MachineFirmware } from './hardware.ts'

export type MachineDisk = { path: string; format: 'qcow2' | 'raw' }

export type Nic = {
  mac: string
  /** The guest's own network, made by QEMU. */
  subnet: string
  gateway: string
  resolver: string
  /** Nothing leaves it; otherwise the guest reaches what the host does. */
  closed: boolean
  /** Reached from the host's loopback at a port that QEMU chooses. */
  forward?: { address: string; port: number }
}

/** A kernel that is booted instead of a disk. */
export type Kernel = {
  kernel: string
  initrd: string
  arguments: readonly string[]
  /** ISO image that they are of: bhyve needs the boot loader on it to boot them. */
  medium?: string
}

export type MachineSpec = {
  /** In messages: `bios`. */
  name: string
  hypervisor: Hypervisor
  /** QEMU's devices; bhyve has its own. */
  hardware: HardwareName
  firmware: MachineFirmware
  memoryMiB: number
  cpus: number
  /** As SMBIOS tells it; a SmartOS machine's is the instance's. */
  uuid: string
  disks: readonly MachineDisk[]
  /** ISO images, in the order of their drives. */
  cdroms?: readonly string[]
  kernel?: Kernel | undefined
  /** QEMU's network; bhyve's machines are on the zone's build network. */
  nic: Nic
  /** Address that VNC listens on, with a password; the first free port from 5900 up. */
  vnc?: string
  /** The operator's own words for the hypervisor, last of all. */
  extra?: readonly string[]
}

/** What cloud-init and mdata-client know a SmartOS instance by, as `key=value,...` of SMBIOS' type 1. */
export const smbiosFields = (uuid: string) =>
  `1,manufacturer=Joyent,product=SmartDC HVM,version=7.20000101T000000Z,serial=${uuid},sku=001,family=Virtual Machine`

/** A screen that can be looked at. */
export type Vnc = { address: string; port: number; password: string }

/** How a machine ended. */
export type MachineEnd =
  | { how: 'off' | 'reboot' }
  /** `QEMU ended with status 1: ...` */
  | { how: 'failed'; says: string }

export type Machine = {
  console: SerialConsole
  /** Socket of the second serial port, to serve metadata on. */
  metadataSocket: string
  /** Where to look at its screen, when the spec asks for VNC. */
  vnc: Vnc | undefined
  /** Whether it still lives. */
  readonly running: boolean
  /** How it ended, once it has. */
  readonly end: MachineEnd | undefined
  /** What went wrong with one of its disks on the host: the guest stands still then. */
  readonly diskError: string | undefined
  /** Let the processor run. */
  go(): Promise<void>
  /** Resolves when the machine has ended by itself; rejects when it does not in time. */
  off(seconds: number): Promise<void>
  /** End it now. */
  stop(): Promise<void>
}
