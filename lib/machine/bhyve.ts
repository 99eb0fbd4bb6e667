/**
 * bhyve's command line for a machine, from a description, with every device where SmartOS puts it.
 * Sources: bhyve(8), bhyve_config(5), bhyvectl(8); slots and defaults as the bhyve brand of SmartOS has
 * them.
 */
import { asRoot } from '../host/privileges.ts'
import { BHYVE } from '../host/hypervisor.ts'
import { type MachineSpec, smbiosFields } from './spec.ts'

/** Firmware that SmartOS brings. */
export const BHYVE_ROMS = {
  bios: '/usr/share/bhyve/uefi-csm-rom.bin',
  uefi: '/usr/share/bhyve/uefi-rom.bin',
} as const

const SLOTS = { bridge: 0, cd: 3, bootDisk: 4, disks: 5, nics: 6, screen: 30, lpc: 31 } as const
/** A slot has eight functions. */
const FUNCTIONS = 8

export type BhyveSpec = Pick<
  MachineSpec,
  'memoryMiB' | 'cpus' | 'uuid' | 'disks' | 'firmware' | 'cdroms' | 'extra'
> & {
  /** Its name for bhyvectl. */
  vm: string
  /** The link that is its network card. */
  vnic: string
  /** Unix sockets that bhyve listens on. */
  sockets: { console: string; metadata: string }
  screen?: { address: string; port: number; password: string; passwordFile: string | undefined }
}

/** What a file for `-k` says, so that the password is not in the list of processes. */
export const passwordSetting = (password: string) =>
  `pci.0.${SLOTS.screen}.0.password=${password}\n`

/** Which function of a slot; @throws where it is full */
function place(slot: number, index: number): string {
  if (index < FUNCTIONS) return `${slot}:${index}`
  throw new Error(`Slot ${slot} has no place for ${index + 1} devices`)
}

/** The whole command; it ends when its guest reboots or powers off. */
export function bhyveWords(spec: BhyveSpec): string[] {
  const { firmware, disks, cdroms = [], sockets, screen } = spec
  const [boot, ...others] = disks
  const device = (at: string, ...what: string[]) => ['-s', [at, ...what].join(',')]
  return asRoot(
    BHYVE,
    '-H', // an idle guest does not keep a core busy
    ...['-c', String(spec.cpus)],
    ...['-m', `${spec.memoryMiB}M`],
    ...['-U', spec.uuid],
    ...['-B', smbiosFields(spec.uuid)],
    ...device(place(SLOTS.bridge, 0), 'hostbridge', 'model=i440fx'),
    ...cdroms.flatMap((path, i) => device(place(SLOTS.cd, i), 'ahci-cd', path)),
    ...(boot ? device(place(SLOTS.bootDisk, 0), 'virtio-blk', boot.path) : []),
    ...others.flatMap(({ path }, i) => device(place(SLOTS.disks, i), 'virtio-blk', path)),
    ...device(place(SLOTS.nics, 0), 'virtio-net-viona', spec.vnic),
    ...(screen ? screenWords(screen, firmware === 'bios', device) : []),
    ...device(String(SLOTS.lpc), 'lpc'),
    ...['-l', `bootrom,${firmware === 'bios' ? BHYVE_ROMS.bios : firmware.code.code}`],
    // Its first bytes are not lost: the machine waits until somebody is connected.
    ...['-l', `com1,socket,${sockets.console},wait`],
    ...['-l', `com2,socket,${sockets.metadata}`],
    ...(spec.extra ?? []),
    spec.vm,
  )
}

function screenWords(
  screen: NonNullable<BhyveSpec['screen']>,
  vga: boolean,
  device: (at: string, ...what: string[]) => string[],
): string[] {
  const { address, port, password, passwordFile } = screen
  const secret = passwordFile === undefined ? [`password=${password}`] : []
  return [
    ...device(
      place(SLOTS.screen, 0),
      'fbuf',
      `vga=${vga ? 'on' : 'off'}`, // what BIOS calls of the CSM need, and UEFI guests must not see
      `rfb=${address}:${port}`,
      ...secret,
    ),
    ...device(place(SLOTS.screen, 1), 'xhci', 'tablet'),
    ...(passwordFile === undefined ? [] : ['-k', passwordFile]),
  ]
}

/** The words that take a machine away, whatever it does. */
export const destroyWords = (vm: string) => asRoot('bhyvectl', `--vm=${vm}`, '--destroy')

export type BhyveEnd = { how: 'off' | 'reboot' } | { how: 'failed'; says: string }

/**
 * What an exit status says.
 *
 * @param stderr bhyve's own words
 */
export function readBhyveEnd(status: number, stderr: string): BhyveEnd {
  switch (status) {
    case 0:
      return { how: 'reboot' }
    case 1:
    case 2: // halted: as far as the guest is concerned it is switched off
      return { how: 'off' }
    case 3:
      return { how: 'failed', says: 'bhyve ended it after a triple fault of the guest' }
    default: {
      const last = stderr.trim().split('\n').at(-1)
      return {
        how: 'failed',
        says: `bhyve ended with ${status === 4 ? 'an error' : `status ${status}`}${last ? `: ${last}` : ''}`,
      }
    }
  }
}
