/**
 * An instance as Triton would describe it to its guest: made up for a test, told by metadata.
 *
 * Nothing of it is what a guest would come to by itself: the address is not what DHCP offers, the
 * name not what an installer leaves.
 */
import type { MetadataValues } from './metadata.ts'

export type Route = { dst: string; gateway: string }

export type Instance = {
  uuid: string
  hostname: string
  mac: string
  address: string
  prefix: number
  gateway: string
  subnet: string
  resolver: string
  routes: readonly Route[]
  /** Public keys, a line each in authorized_keys. */
  keys: readonly string[]
  rootPassword?: string
}

/** The network of a virtual cloud on a laptop; QEMU's DHCP server would offer .15 */
const NETWORK = '10.88.88'

/** What the scripts leave, for the checks: a line in a file that no reboot keeps. */
export const RUNS = { user: '/run/test-user-script', operator: '/run/test-operator-script' }

/** An instance; `number` tells apart those of one test. */
export function makeInstance(number: number, keys: readonly string[]): Instance {
  return {
    uuid: `${String(number).repeat(8)}-7e57-4ade-a117-0123456789ab`,
    hostname: `test-${number}-of-image`,
    mac: `90:b8:d0:7e:57:0${number}`,
    address: `${NETWORK}.${216 + number}`,
    prefix: 24,
    gateway: `${NETWORK}.2`,
    subnet: `${NETWORK}.0/24`,
    resolver: `${NETWORK}.3`,
    routes: [{ dst: '198.51.100.0/24', gateway: `${NETWORK}.2` }],
    keys,
  }
}

const counting = (path: string) => `#!/bin/sh\necho ran >>${path}\n`

export const USER_DATA = 'a line of user-data\n'
/** Longer than any buffer on the way: 96 KiB, each line another. */
export const LARGE_VALUE = Array.from({ length: 6144 }, (_, i) => String(i).padStart(15, '.')).join(
  '\n',
)

/** What the metadata service of the instance answers. */
export function metadataOf(instance: Instance): MetadataValues {
  const { uuid, hostname, mac, address, prefix, gateway, resolver, routes, keys } = instance
  const nic = {
    interface: 'net0',
    mac,
    vlan_id: 0,
    nic_tag: 'external',
    gateway,
    gateways: [gateway],
    netmask: '255.255.255.0',
    ip: address,
    ips: [`${address}/${prefix}`],
    model: 'virtio',
    primary: true,
    mtu: 1500,
  }
  return {
    'sdc:uuid': uuid,
    'sdc:hostname': hostname,
    'sdc:alias': hostname,
    'sdc:datacenter_name': 'test-1',
    'sdc:dns_domain': 'local',
    'sdc:nics': JSON.stringify([nic]),
    'sdc:resolvers': JSON.stringify([resolver]),
    'sdc:maintain_resolvers': 'true',
    'sdc:routes': JSON.stringify(routes.map((route) => ({ linklocal: false, ...route }))),
    'sdc:operator-script': counting(RUNS.operator),
    root_authorized_keys: `${keys.join('\n')}\n`,
    'user-script': counting(RUNS.user),
    'user-data': USER_DATA,
    'test:large': LARGE_VALUE,
    ...(instance.rootPassword === undefined ? {} : { root_pw: instance.rootPassword }),
  }
}
