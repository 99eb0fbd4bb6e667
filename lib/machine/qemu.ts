/** QEMU's command line for a machine, from a description. Source: qemu-system-x86_64(1). */
import { acceleratorWords } from '../host/accelerator.ts'
import type { QemuHypervisor } from '../host/hypervisor.ts'
import { hardware, type MachineFirmware } from './hardware.ts'
import { type Kernel, type MachineSpec, type Nic, smbiosFields } from './spec.ts'

export type QemuSpec = MachineSpec & {
  hypervisor: QemuHypervisor
  /** Unix sockets that QEMU listens on; of the console a pair of named pipes, for the reason at qemuWords(). */
  sockets: { console: string; metadata: string; qmp: string }
}

/** Order of booting: QEMU's own loader of kernels takes 0. */
const FIRST_CD = 1
const FIRST_DISK = 2

/** A value in a comma-separated list: commas in it are doubled. */
const listed = (value: string) => value.replaceAll(',', ',,')

function firmwareWords(firmware: MachineFirmware): string[] {
  if (firmware === 'bios') return []
  const { code, codeFormat, variablesFormat } = firmware.code
  return [
    ...['-drive', `if=pflash,unit=0,format=${codeFormat},readonly=on,file=${listed(code)}`],
    ...['-drive', `if=pflash,unit=1,format=${variablesFormat},file=${listed(firmware.variables)}`],
  ]
}

/**
 * The whole command; the machine ends when its guest reboots or powers off, and with the process that
 * started it. What this QEMU lacks is done without, or as it was done before.
 *
 * The console is read through pipes: QEMU writes byte by byte, of which a socket takes some 280 until they are read, a
 * pipe 65536. A kernel waits 10 ms for its serial port, then goes on without the byte.
 */
export function qemuWords(spec: QemuSpec): string[] {
  const { nic, sockets } = spec
  const { program, lacks, accelerator, leash } = spec.hypervisor
  const parts = hardware[spec.hardware]
  const socket = (id: string, path: string) =>
    `socket,id=${id},path=${listed(path)},server=on,wait=off`
  return [
    ...leash,
    program,
    ...['-name', `hybrid-images-${spec.name}`],
    ...[lacks.has('machine') ? '-M' : '-machine', parts.machine],
    ...acceleratorWords(accelerator.name, lacks),
    ...['-cpu', accelerator.cpu],
    ...['-smp', String(spec.cpus)],
    ...['-m', String(spec.memoryMiB)],
    ...['-smbios', `type=${smbiosFields(spec.uuid)},uuid=${spec.uuid}`],
    ...['-rtc', 'base=utc'],
    '-nodefaults',
    '-no-reboot', // the end of a boot is the end of the process, as on SmartOS
    ...parts.screen,
    ...screenWords(spec),
    ...firmwareWords(spec.firmware),
    ...diskWords(spec),
    ...kernelWords(spec.kernel),
    ...['-netdev', netdev(nic)],
    ...['-device', parts.nic('net0', nic.mac)],
    ...(lacks.has('rng') ? [] : ['-device', 'virtio-rng-pci']),
    ...['-chardev', `pipe,id=console,path=${listed(sockets.console)}`],
    ...['-serial', 'chardev:console'],
    ...(parts.metadata
      ? ['-chardev', socket('metadata', sockets.metadata), '-serial', 'chardev:metadata']
      : []),
    ...['-qmp', `unix:${listed(sockets.qmp)},server=on,wait=off`],
    ...(spec.extra ?? []),
  ]
}

function screenWords({ vnc, hypervisor: { lacks } }: QemuSpec): string[] {
  const none = lacks.has('display')
    ? vnc === undefined
      ? ['-vnc', 'none']
      : []
    : ['-display', 'none']
  if (vnc === undefined) return none
  // Old ones know the bare word only, new ones warn of it.
  const password = lacks.has('display') ? 'password' : 'password=on'
  return [...none, '-vnc', `${vnc}:0,to=99,${password}`]
}

function diskWords({ hypervisor: { lacks }, ...spec }: QemuSpec): string[] {
  const { disk, cdrom } = hardware[spec.hardware]
  const cdroms = spec.cdroms ?? []
  const writing = [
    ...(lacks.has('discard') ? [] : ['discard=unmap']),
    ...(lacks.has('unsafe cache') ? [] : ['cache=unsafe']),
  ]
  // CDs before the disks; firmware goes on to them when the first is no boot medium.
  const order = (place: number) => (lacks.has('bootindex') ? '' : `,bootindex=${place}`)
  const plain = (device: string) =>
    lacks.has('ide-cd') ? device.replace(/^ide-(cd|hd)/, 'ide-drive') : device
  const medium = lacks.has('ide-cd') ? ',media=cdrom' : ''
  return [
    ...(lacks.has('bootindex') ? ['-boot', `order=${cdroms.length > 0 ? 'dc' : 'c'}`] : []),
    ...spec.disks.flatMap(({ path, format }, i) => [
      '-drive',
      [`file=${listed(path)}`, `format=${format}`, 'if=none', `id=disk${i}`, ...writing].join(','),
      '-device',
      plain(disk(`disk${i}`, i)) + order(FIRST_DISK + i),
    ]),
    ...cdroms.flatMap((path, i) => [
      '-drive',
      `file=${listed(path)},format=raw,if=none,id=cd${i},readonly=on${medium}`,
      '-device',
      plain(cdrom(`cd${i}`, i)) + (i === 0 ? order(FIRST_CD) : ''),
    ]),
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
