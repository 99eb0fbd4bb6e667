/**
 * What a machine is made of: the devices that SmartOS' hypervisors offer, where they put them.
 *
 * An image must not care: names and addresses of devices differ between these layouts.
 */
import type { Firmware } from '../host/firmware.ts'

export const HARDWARE = ['kvm', 'bhyve', 'legacy'] as const
export type HardwareName = (typeof HARDWARE)[number]

type Hardware = {
  /** QEMU's machine type, and the family that firmware descriptors name. */
  machine: string
  family: string
  /** Devices for the disks in order; `drive` is the id of the block device. */
  disk: (drive: string, index: number) => string
  /** CD drives, in order. */
  cdrom: (drive: string, index: number) => string
  nic: (netdev: string, mac: string) => string
}

/** Without a boot ROM: nothing here boots from the network. */
const nicTail = (netdev: string, mac: string) => `netdev=${netdev},mac=${mac},romfile=`

export const hardware: Record<HardwareName, Hardware> = {
  // i440fx, virtio where QEMU puts it by itself.
  kvm: {
    machine: 'pc',
    family: 'pc-i440fx',
    disk: (drive) => `virtio-blk-pci,drive=${drive}`,
    cdrom: (drive, i) => `ide-cd,drive=${drive},bus=ide.${i}`,
    nic: (netdev, mac) => `virtio-net-pci,${nicTail(netdev, mac)}`,
  },
  // Slots as SmartOS' bhyve brand assigns them: boot disk 4, other disks 5, network 6, LPC bridge 31
  // (where q35 has it as well); virtio in its first form only.
  bhyve: {
    machine: 'q35',
    family: 'pc-q35',
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
    disk: (drive, i) => `ide-hd,drive=${drive},bus=ide.${i},unit=0`,
    cdrom: (drive, i) => `ide-cd,drive=${drive},bus=ide.${i},unit=1`,
    nic: (netdev, mac) => `e1000,${nicTail(netdev, mac)}`,
  },
}

/** The machine's own copy of the variables goes with the shared code. */
export type MachineFirmware = { code: Firmware; variables: string } | 'bios'
