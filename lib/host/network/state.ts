/**
 * What of the build network is there, as the zone's own programs say it.
 * Sources: dladm(8), ifconfig(8), ipnat(8), svcs(1).
 */
import { $ } from '../../cli/run.ts'
import { asRoot } from '../privileges.ts'
import { INSTANCE, type BuildNetwork, readNetworkFiles } from './files.ts'
import { ETHERSTUB, gatewayOf, GATEWAY_VNIC } from './slots.ts'
import { addressNumber, netmaskOf, type Subnet, subnetAround, subnetText } from './subnet.ts'

export type Vnic = { link: string; over: string }

/** An address that the zone has. */
export type ZoneAddress = { link: string; up: boolean; address: string; subnet: Subnet }

export type NetworkState = {
  /** What svcs says of our service; undefined: it does not know it. */
  service: string | undefined
  etherstubs: readonly string[]
  vnics: readonly Vnic[]
  addresses: readonly ZoneAddress[]
  /** Rules as ipnat lists them. */
  rules: readonly string[]
  /** Texts of the files in our directory. */
  files: ReadonlyMap<string, string>
}

const ask = async (words: string[]) => {
  const { exitCode, stdout } = await $({ nothrow: true, readOnly: true })`${words}`
  return exitCode === 0 ? stdout : ''
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '')

/** Fields of `dladm -p`: colons between them, and backslashes before those within. */
export function readFields(line: string): string[] {
  return line.split(/(?<!\\):/).map((field) => field.replaceAll(/\\(.)/g, '$1'))
}

/** Addresses of IPv4 that `ifconfig -a` shows. */
export function readAddresses(text: string): ZoneAddress[] {
  const blocks = text.split(/^(?=\S)/m)
  return blocks.flatMap((block) => {
    const [, link, flags = ''] = /^([^\s:]+)(?::\d+)?: flags=\w+<([^>]*)>/.exec(block) ?? []
    const [, address = '', mask = ''] = /^\s+inet (\S+) .*?netmask ([0-9a-f]{8})/m.exec(block) ?? []
    const number = addressNumber(address)
    if (link === undefined || number === undefined) return []
    const prefix = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length
    const up = flags.split(',').includes('UP')
    return [{ link, up, address, subnet: subnetAround(number, prefix) }]
  })
}

/** Rules of `ipnat -l`, without what is translated just now. */
export function readRules(text: string): string[] {
  return lines(text.split(/^List of active sessions:/m)[0]!).filter((line) => /^map /.test(line))
}

/** State of our service: `online`, `maintenance`, ...; undefined when there is none. */
export async function readService(): Promise<string | undefined> {
  // An asterisk is behind a state that is being left.
  const state = (await ask(['svcs', '-H', '-o', 'state', INSTANCE])).trim().replace(/\*$/, '')
  return state === '' ? undefined : state
}

export async function readVnics(): Promise<Vnic[]> {
  const listed = await ask(['dladm', 'show-vnic', '-p', '-o', 'link,over'])
  return lines(listed).map((line) => {
    const [link = '', over = ''] = readFields(line)
    return { link, over }
  })
}

export async function readNetworkState(): Promise<NetworkState> {
  const [service, etherstubs, vnics, addresses, rules, files] = await Promise.all([
    readService(),
    ask(['dladm', 'show-etherstub', '-p', '-o', 'link']),
    readVnics(),
    ask(['ifconfig', '-a']),
    ask(asRoot('ipnat', '-l')),
    readNetworkFiles(),
  ])
  return {
    service,
    etherstubs: lines(etherstubs),
    vnics,
    addresses: readAddresses(addresses),
    rules: readRules(rules),
    files,
  }
}

/** Does all of it work that a build needs? */
export function isUp(state: NetworkState, network: BuildNetwork): boolean {
  const { subnet, uplink } = network
  const { service, etherstubs, vnics, addresses, rules } = state
  const begin = `map ${uplink} ${subnetText(subnet)} -> `
  return (
    service === 'online' &&
    etherstubs.includes(ETHERSTUB) &&
    vnics.some(({ link, over }) => link === GATEWAY_VNIC && over === ETHERSTUB) &&
    addresses.some(
      (one) =>
        one.link === GATEWAY_VNIC &&
        one.up &&
        one.address === gatewayOf(subnet) &&
        netmaskOf(one.subnet) === netmaskOf(subnet),
    ) &&
    rules.filter((rule) => rule.startsWith(begin)).length === 2
  )
}

/** What svcs says about a service that is not as it should be, and where its log is. */
export async function serviceReason(): Promise<{ reason: string; log: string }> {
  const said = await ask(['svcs', '-xv', INSTANCE])
  const reason = /^Reason: (.+?)\.?$/m.exec(said)?.[1] ?? 'svcs -xv gives no reason'
  const log = /^ +See: (\/.+)$/m.exec(said)?.[1] ?? `what "svcs -L ${INSTANCE}" names`
  return { reason, log }
}
