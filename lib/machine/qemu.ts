/** QEMU's command line for a machine, from a description. Source: qemu-system-x86_64(1). */
import type { Accelerator } from '../host/accelerator.ts'
import { FIRST_CD, hardware, type HardwareName, type MachineFirmware } from './hardware.ts'

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

/** A kernel that is booted without a boot loader. */
export type Kernel = { kernel: string; initrd: string; arguments: readonly string[] }

export type MachineSpec = {
  /** In messages: `bios`. */
  name: string
  /** QEMU's program; undefined: the usual one, from $PATH. */
  qemu?: string | undefined
  accelerator: Accelerator
  hardware: HardwareName
  firmware: MachineFirmware
  memoryMiB: number
  cpus: number
  /** As SMBIOS tells it; a SmartOS machine's is the instance's. */
  uuid: string
  disks: readonly MachineDisk[]
  /** ISO images, in the order of their drives. */
  cdroms?: readonly string[]
  /** Booted instead of a disk. */
  kernel?: Kernel | undefined
  nic: Nic
  /** Address that VNC listens on, with a password; the first free port from 5900 up. */
  vnc?: string
  /** The operator's own words, last of all. */
  extra?: readonly string[]
  /** Unix sockets that QEMU listens on. */
  sockets: { console: string; metadata: string; qmp: string }
}

/** A value in a comma-separated list: commas in it are doubled. */
const listed = (value: string) => value.replaceAll(',', ',,')

/** What cloud-init and mdata-client know a SmartOS instance by. */
const smbios = (uuid: string) =>
  `type=1,manufacturer=Joyent,product=SmartDC HVM,version=7.20000101T000000Z,serial=${uuid},uuid=${uuid},sku=001,family=Virtual Machine`

function firmwareWords(firmware: MachineFirmware): string[] {
  if (firmware === 'bios') return []
  const { code, codeFormat, variablesFormat } = firmware.code
  return [
    ...['-drive', `if=pflash,unit=0,format=${codeFormat},readonly=on,file=${listed(code)}`],
    ...['-drive', `if=pflash,unit=1,format=${variablesFormat},file=${listed(firmware.variables)}`],
  ]
}

/**
 * The whole command; the machine ends when its guest reboots or powers off, and with
 * the process that started it.
 */
export function qemuWords(spec: MachineSpec): string[] {
  const { accelerator, nic, sockets } = spec
  const parts = hardware[spec.hardware]
  const socket = (id: string, path: string) =>
    `socket,id=${id},path=${listed(path)},server=on,wait=off`
  return [
    // A machine must not outlive us, however we end.
    ...['setpriv', '--pdeathsig', 'KILL', '--'],
    spec.qemu ?? 'qemu-system-x86_64',
    ...['-name', `hybrid-images-${spec.name}`],
    ...['-machine', parts.machine],
    ...['-accel', accelerator.name === 'tcg' ? 'tcg,thread=multi' : accelerator.name],
    ...['-cpu', accelerator.cpu],
    ...['-smp', String(spec.cpus)],
    ...['-m', `${spec.memoryMiB}M`],
    ...['-smbios', smbios(spec.uuid)],
    ...['-rtc', 'base=utc'],
    '-nodefaults',
    '-no-reboot', // the end of a boot is the end of the process, as on SmartOS
    ...['-vga', 'std'],
    ...['-display', 'none'],
    ...firmwareWords(spec.firmware),
    ...spec.disks.flatMap(({ path, format }, i) => [
      ...[
        '-drive',
        `file=${listed(path)},format=${format},if=none,id=disk${i},discard=unmap,cache=unsafe`,
      ],
      ...['-device', parts.disk(`disk${i}`, i)],
    ]),
    ...(spec.cdroms ?? []).flatMap((path, i) => [
      ...['-drive', `file=${listed(path)},format=raw,if=none,id=cd${i},readonly=on`],
      // Before the disks; firmware goes on to them when it is no boot medium.
      ...['-device', parts.cdrom(`cd${i}`, i) + (i === 0 ? `,bootindex=${FIRST_CD}` : '')],
    ]),
    ...kernelWords(spec.kernel),
    ...['-netdev', netdev(nic)],
    ...['-device', parts.nic('net0', nic.mac)],
    ...['-device', 'virtio-rng-pci'],
    ...['-chardev', socket('console', sockets.console)],
    ...['-serial', 'chardev:console'],
    ...['-chardev', socket('metadata', sockets.metadata)],
    ...['-serial', 'chardev:metadata'],
    ...['-qmp', `unix:${listed(sockets.qmp)},server=on,wait=off`],
    ...(spec.vnc === undefined ? [] : ['-vnc', `${spec.vnc}:0,to=99,password=on`]),
    ...(spec.extra ?? []),
  ]
}

function netdev({ subnet, gateway, resolver, closed, forward }: Nic): string {
  return [
    'user',
    'id=net0',
    `net=${subnet}`,
    `host=${gateway}`,
    `dns=${resolver}`,
    ...(closed ? ['restrict=on'] : []),
    ...(forward ? [`hostfwd=tcp:127.0.0.1:0-${forward.address}:${forward.port}`] : []),
  ].join(',')
}

function kernelWords(boot: Kernel | undefined): string[] {
  if (!boot) return []
  const { kernel, initrd } = boot
  return ['-kernel', kernel, '-initrd', initrd, '-append', boot.arguments.join(' ')]
}
