/** Subnets of IPv4 and the addresses in them, as numbers of 32 bits and as text. */
import { UsageError } from '../../cli/errors.ts'

export type Subnet = {
  /** First address, the one that is the network's. */
  base: number
  prefix: number
}

/** `10.0.0.1` to a number, undefined for anything else. */
export function addressNumber(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  if (!parts || parts.some((part) => part > 255)) return undefined
  return parts.reduce((number, part) => number * 256 + part, 0)
}

export const addressText = (number: number) =>
  [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')

export const sizeOf = ({ prefix }: Subnet) => 2 ** (32 - prefix)

/** The subnet's address number `index`: 0 is its own, 1 the first for a machine. */
export const addressIn = ({ base }: Subnet, index: number) => addressText(base + index)

/** `255.255.255.0` */
export const netmaskOf = (subnet: Subnet) => addressText(2 ** 32 - sizeOf(subnet))

/** `10.0.0.0/24` */
export const subnetText = ({ base, prefix }: Subnet) => `${addressText(base)}/${prefix}`

/** The subnet that an address is in. */
export function subnetAround(address: number, prefix: number): Subnet {
  return { base: address - (address % sizeOf({ base: 0, prefix })), prefix }
}

/** Have they an address in common? */
export const overlap = (one: Subnet, other: Subnet) =>
  one.base < other.base + sizeOf(other) && other.base < one.base + sizeOf(one)

/** `10.0.0.0/24`, undefined for anything else. */
export function readSubnet(text: string): Subnet | undefined {
  const [, address = '', digits] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const number = addressNumber(address)
  const prefix = Number(digits)
  if (number === undefined || prefix > 32) return undefined
  const subnet = subnetAround(number, prefix)
  return subnet.base === number ? subnet : undefined
}

/** Room for ten addresses of our own, one for each build, and the one for all. */
const WIDEST = 8
const NARROWEST = 26

/** An option's value. @throws {UsageError} for what builds can't have as their network */
export function parseSubnet(text: string): Subnet {
  const subnet = readSubnet(text)
  if (subnet && subnet.prefix >= WIDEST && subnet.prefix <= NARROWEST) return subnet
  throw new UsageError(
    `Cannot use subnet "${text}": write its first address and a prefix of ${WIDEST} to ${NARROWEST}, as in 10.0.0.0/24`,
  )
}
