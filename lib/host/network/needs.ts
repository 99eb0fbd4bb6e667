/** What the build network needs of its zone, all looked at before anything is changed. */
import { readFile } from 'node:fs/promises'
import { HostError } from '../../cli/errors.ts'
import { $ } from '../../cli/run.ts'
import { asRoot, privilegesFix, readPrivileges } from '../privileges.ts'
import { GLOBAL_ZONE, readSystem } from '../system.ts'
import { findTool } from '../tools.ts'
import { type BuildNetwork, FILES, guestNameservers, isOurs, pathOf } from './files.ts'
import { ETHERSTUB, GATEWAY_VNIC, isBuildVnic } from './slots.ts'
import type { NetworkState } from './state.ts'
import { overlap, readSubnet, type Subnet, subnetText } from './subnet.ts'

export type Problem = { found: string; fix: string }

export const DHCPD = '/opt/local/sbin/dhcpd'
export const DHCPD_FIX = 'pkgin -y install isc-dhcpd'

/** The command of the global zone that makes a zone fit for bhyve. */
export const prepareZone = (zone: string) =>
  `In the global zone: ./bin/setup-build-zone ${zone} --hypervisor bhyve`

/** @returns the zone's name @throws {HostError} where there is no zone to have a build network in */
export async function needZone(): Promise<string> {
  const system = await readSystem()
  if (system.kind !== 'smartos') {
    throw new HostError('This is not SmartOS', { hint: 'Run it in a build zone of SmartOS' })
  }
  if (system.zone === GLOBAL_ZONE) {
    throw new HostError('This is the global zone', {
      hint: 'Run ./bin/setup-build-zone UUID --hypervisor bhyve here, and this in that zone',
    })
  }
  return system.zone
}

export async function needPrivileges(): Promise<void> {
  const problems = await checkPrivileges()
  if (problems.length > 0) refuse(problems)
}

async function checkPrivileges(): Promise<Problem[]> {
  if ((await readPrivileges()) !== undefined) return []
  return [{ found: 'this user is neither root nor has pfexec', fix: privilegesFix() }]
}

type Nic = { interface: string; allow_ip_spoofing?: boolean }

/** Interfaces that the zone was given; undefined when the metadata can't be read. */
export async function readNics(): Promise<Nic[] | undefined> {
  const words = asRoot('mdata-get', 'sdc:nics')
  const { exitCode, stdout } = await $({ nothrow: true, readOnly: true })`${words}`
  if (exitCode !== 0) return undefined
  try {
    const nics: unknown = JSON.parse(stdout)
    return Array.isArray(nics) ? (nics as Nic[]) : undefined // vmadm's own list
  } catch {
    return undefined
  }
}

/** May the uplink send what it has from guests? */
export async function checkUplink(uplink: string, zone: string): Promise<Problem[]> {
  const nics = await readNics()
  if (!nics) {
    const fix = 'See what "mdata-get sdc:nics" says, as root'
    return [{ found: "the zone's network interfaces cannot be read", fix }]
  }
  const nic = nics.find((one) => one.interface === uplink)
  const names = nics.map((one) => one.interface).join(', ')
  if (!nic) {
    const found = `the zone has no interface ${uplink}, but ${names || 'none'}`
    return [{ found, fix: 'Choose one of them with --uplink' }]
  }
  if (nic.allow_ip_spoofing) return []
  return [{ found: `${uplink} may not spoof addresses`, fix: prepareZone(zone) }]
}

/** Where a subnet is free in most places. */
const OTHER_SUBNETS = ['10.0.0.0/24', '10.99.0.0/24', '172.31.99.0/24', '192.168.199.0/24']

/** Addresses that are not of the build network itself. */
const foreign = ({ addresses, vnics }: NetworkState) =>
  addresses.filter(
    ({ link }) =>
      !isBuildVnic(link) &&
      !vnics.some((one) => one.link === link && link === GATEWAY_VNIC && one.over === ETHERSTUB),
  )

function checkAddresses(subnet: Subnet, state: NetworkState): Problem[] {
  const others = foreign(state)
  const free = (one: Subnet) => !others.some((other) => overlap(one, other.subnet))
  const same = others.find((other) => overlap(subnet, other.subnet))
  if (!same) return []
  const other = OTHER_SUBNETS.find((text) => free(readSubnet(text)!))
  return [
    {
      found: `${subnetText(subnet)} has addresses that ${same.link} is in: ${subnetText(same.subnet)}`,
      fix: `Choose another one, as in --subnet ${other ?? 'ADDRESS/24'}`,
    },
  ]
}

function checkLinks({ vnics }: NetworkState): Problem[] {
  return vnics
    .filter(({ link, over }) => link === GATEWAY_VNIC && over !== ETHERSTUB)
    .map(({ link, over }) => ({
      found: `${link} is there already, over ${over}`,
      fix: `Take down what made it, or: dladm rename-link ${link} other0`,
    }))
}

function checkFiles({ files }: NetworkState): Problem[] {
  return FILES.filter((name) => files.has(name) && !isOurs(name, files.get(name)!)).map((name) => ({
    found: `${pathOf(name)} was not written by this project`,
    fix: `Move it away: mv ${pathOf(name)} ${pathOf(name)}.mine`,
  }))
}

const checkThere = (path: string, fix: string): Problem[] =>
  findTool(path) === undefined ? [{ found: `${path} is missing`, fix }] : []

/** Name servers for guests. */
export async function readNameservers(): Promise<string[]> {
  return guestNameservers(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''))
}

/** @throws {HostError} with all that stands in the way */
export async function needNetwork(network: BuildNetwork, state: NetworkState): Promise<void> {
  const zone = await needZone()
  const nameservers = await readNameservers()
  const problems = [
    ...(await checkPrivileges()),
    ...(await checkUplink(network.uplink, zone)),
    ...checkThere('/dev/viona', prepareZone(zone)),
    ...checkThere(DHCPD, DHCPD_FIX),
    ...checkAddresses(network.subnet, state),
    ...checkLinks(state),
    ...checkFiles(state),
    ...(nameservers.length > 0
      ? []
      : [
          {
            found: '/etc/resolv.conf names no server that guests could ask',
            fix: 'Add a line to it, as in "nameserver 8.8.8.8"',
          },
        ]),
  ]
  if (problems.length > 0) refuse(problems)
}

/** One by its own name, several as a list. */
function refuse(problems: readonly Problem[]): never {
  const [first, ...others] = problems
  const what = 'Cannot set up the build network'
  if (others.length === 0) throw new HostError(`${what}: ${first!.found}`, { hint: first!.fix })
  throw new HostError(`${what} for ${problems.length} reasons`, {
    hint: problems.map(({ found, fix }) => `${found}\n    ${fix}`).join('\n  '),
  })
}
