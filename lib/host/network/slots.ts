/** Places of the build network: as many builds as there are of them run at once. */
import { addressIn, type Subnet } from './subnet.ts'

export type Slot = {
  /** Its virtual network interface, which a guest has while the build has the slot. */
  vnic: string
  mac: string
  /** What dhcpd gives to that MAC. */
  address: string
}

export const SLOTS = 32

/** The switch that builds are on: a link without a wire. */
export const ETHERSTUB = 'hybrid0'
/** This zone's own interface on it: router and DHCP server. */
export const GATEWAY_VNIC = 'dhcp0'

/** Addresses before the first build's. */
const FIRST_ADDRESS = 10

/** Locally administered, and only on our own switch. */
const MAC_PREFIX = '02:68:69:6d:67'

export const vnicOf = (slot: number) => `build${slot}`

export function slotOf(slot: number, subnet: Subnet): Slot {
  return {
    vnic: vnicOf(slot),
    mac: `${MAC_PREFIX}:${slot.toString(16).padStart(2, '0')}`,
    address: addressIn(subnet, FIRST_ADDRESS + slot),
  }
}

export const allSlots = (subnet: Subnet) =>
  Array.from({ length: SLOTS }, (_, slot) => slotOf(slot, subnet))

export const gatewayOf = (subnet: Subnet) => addressIn(subnet, 1)

/** Is it a build's, by its name? */
export const isBuildVnic = (link: string) => /^build\d+$/.test(link)
