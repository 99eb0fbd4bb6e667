/**
 * What a machine is made of: the devices that SmartOS' hypervisors offer, where they put them.
 *
 * An image must not care: names and addresses of devices differ between these layouts.
 */
import type { Arch } from '../../distros/distro.ts'
import type { Firmware } from '../host/firmware.ts'

/** What an image for SmartOS can meet. */
export const HARDWARE = ['kvm', 'bhyve', 'legacy'] as const
export type HardwareName = (typeof HARDWARE)[number] | 'virt'

type Hardware = {
  /** QEMU's machine type, and the family that firmware descriptors name. */
  machine: string
  family: string
  /** QEMU's words for its screen. */
  screen: readonly string[]
  /** It has a second serial port, for metadata. */
  metadata: boolean
  /** Devices for the disks in order; `drive` is the id of the block device. */
  disk: (drive: string, index: number) => string
  /** CD drives, in order. */
  cdrom: (drive: string, index: number) => string
  nic: (netdev: string, mac: string) => string
}

/** Without a boot ROM: nothing here boots from the network. */
const nicTail = (netdev: string, mac: string) => `netdev=${netdev},mac=${mac},romfile=`

/** What all machines of x86 have. */
const PC = { screen: ['-vga', 'std'], metadata: true } as const

export const hardware: Record<HardwareName, Hardware> = {
  // i440fx, virtio where QEMU puts it by itself.
  kvm: {
    machine: 'pc',
    family: 'pc-i440fx',
    ...PC,
    disk: (drive) => `virtio-blk-pci,drive=${drive}`,
    cdrom: (drive, i) => `ide-cd,drive=${drive},bus=ide.${i}`,
    nic: (netdev, mac) => `virtio-net-pci,${nicTail(netdev, mac)}`,
  },
  // Slots as SmartOS' bhyve brand assigns them: boot disk 4, other disks 5, network 6, LPC bridge 31
  // (where q35 has it as well); virtio in its first form only.
  bhyve: {
    machine: 'q35',
    family: 'pc-q35',
    ...PC,
    disk: (drive, i) =>
      `virtio-blk-pci,drive=${drive},bus=pcie.0,addr=${i === 0 ? '4.0' : `5.${i - 1}`},disable-modern=on,disable-legacy=off`,
    // q35's own controller is AHCI, as bhyve's drive for CDs is.
    cdrom: (drive, i) => `ide-cd,drive=${drive},bus=ide.${i}`,
    nic: (netdev, mac) =>
      `virtio-net-pci,${nicTail(netdev, mac)},bus=pcie.0,addr=6.0,disable-modern=on,disable-legacy=off`,
  },
  // disk_model ide, nic model e1000: what an instance has that was made for another system.
  legacy: {
    machine: 'pc',
    family: 'pc-i440fx',
    ...PC,
    disk: (drive, i) => `ide-hd,drive=${drive},bus=ide.${i},unit=0`,
    cdrom: (drive, i) => `ide-cd,drive=${drive},bus=ide.${i},unit=1`,
    nic: (netdev, mac) => `e1000,${nicTail(netdev, mac)}`,
  },
  // QEMU's own board for arm64, with virtio throughout, and the newest interrupt controller that it can have.
  virt: {
    machine: 'virt,gic-version=max',
    family: 'virt',
    screen: ['-device', 'virtio-gpu-pci'],
    metadata: false,
    disk: (drive) => `virtio-blk-pci,drive=${drive}`,
    cdrom: (drive) => `virtio-blk-pci,drive=${drive}`,
    nic: (netdev, mac) => `virtio-net-pci,${nicTail(netdev, mac)}`,
  },
}

/** What a system of an architecture is set up in. */
export const setUpMachine: Readonly<
  Record<Arch, { hardware: HardwareName; firmware: 'bios' | 'uefi' }>
> = {
  amd64: { hardware: 'kvm', firmware: 'bios' },
  arm64: { hardware: 'virt', firmware: 'uefi' },
}

/** The machine's own copy of the variables goes with the shared code. */
export type MachineFirmware = { code: Firmware; variables: string } | 'bios'
