/**
 * The files of the build network, all in one directory of their own. Each has in its first lines the mark
 * that it is ours; a file without it belongs to somebody, and is neither written nor removed.
 *
 * Sources: dhcpd.conf(5) of ISC, ipnat(5), service_bundle(5).
 */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, explain } from '../../cli/errors.ts'
import { allSlots, gatewayOf } from './slots.ts'
import { addressIn, netmaskOf, readSubnet, sizeOf, type Subnet, subnetText } from './subnet.ts'

export type BuildNetwork = {
  subnet: Subnet
  /** The zone's interface by which guests get out. */
  uplink: string
}

export const DEFAULTS = { subnet: '10.0.0.0/24', uplink: 'net0' }

export const NETWORK_DIR = '/opt/hybrid-images/network'
/** What is gone with a reboot, as the links are. */
export const RUN_DIR = '/var/run/hybrid-images/network'

export const SERVICE = 'svc:/application/hybrid-images/network'
export const INSTANCE = `${SERVICE}:default`

const MARK = 'Written by hybrid-images (setup-build-network), which replaces changes'

export const FILES = ['dhcpd.conf', 'ipnat.conf', 'manifest.xml', 'network.sh'] as const
export type FileName = (typeof FILES)[number]

/** The method's note that it is what turned forwarding on; it lasts over a reboot, as forwarding does. */
export const FORWARDING_NOTE = 'forwarding-turned-on'

export const pathOf = (name: string) => join(NETWORK_DIR, name)

/** dhcpd gives addresses to builds alone, each its own; guests ask the zone's own name servers. */
export function dhcpdConf({ subnet }: BuildNetwork, nameservers: readonly string[]): string {
  const hosts = allSlots(subnet).map(
    ({ vnic, mac, address }) =>
      `host ${vnic} { hardware ethernet ${mac}; fixed-address ${address}; }`,
  )
  return [
    `# ${MARK}`,
    'authoritative;',
    'deny unknown-clients;',
    'default-lease-time 86400;',
    'max-lease-time 86400;',
    '',
    `subnet ${addressIn(subnet, 0)} netmask ${netmaskOf(subnet)} {`,
    `  option routers ${gatewayOf(subnet)};`,
    `  option broadcast-address ${addressIn(subnet, sizeOf(subnet) - 1)};`,
    `  option domain-name-servers ${nameservers.join(', ')};`,
    '}',
    '',
    ...hosts,
    '',
  ].join('\n')
}

/** The whole subnet leaves with the uplink's address; what has no ports by the second rule. */
export function ipnatConf({ subnet, uplink }: BuildNetwork): string {
  const map = `map ${uplink} ${subnetText(subnet)} -> 0/32`
  return [`# ${MARK}`, `${map} portmap tcp/udp auto`, map, ''].join('\n')
}

const dependency = (name: string, grouping: string, restartOn: string, fmri: string) =>
  `    <dependency name="${name}" grouping="${grouping}" restart_on="${restartOn}" type="service">
      <service_fmri value="${fmri}"/>
    </dependency>`

const method = (name: string, words: readonly string[]) =>
  `    <exec_method type="method" name="${name}" timeout_seconds="60"
      exec="/bin/sh ${[pathOf('network.sh'), name, ...words].join(' ')}"/>`

/** ipfilter forgets our rules when it is started anew or refreshed: then so are we. */
export function manifestXml({ subnet }: BuildNetwork): string {
  return `<?xml version="1.0"?> <!-- ${MARK} -->
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<service_bundle type="manifest" name="hybrid-images">
  <service name="${SERVICE.replace('svc:/', '')}" type="service" version="1">
    <create_default_instance enabled="false"/>
    <single_instance/>
${dependency('network', 'require_all', 'none', 'svc:/network/physical:default')}
${dependency('filesystem', 'require_all', 'none', 'svc:/system/filesystem/local:default')}
${dependency('ipfilter', 'optional_all', 'refresh', 'svc:/network/ipfilter:default')}
${method('start', [gatewayOf(subnet), netmaskOf(subnet)])}
${method('stop', [])}
    <stability value="Unstable"/>
    <template>
      <common_name><loctext xml:lang="C">hybrid-images build network</loctext></common_name>
    </template>
  </service>
</service_bundle>
`
}

export function methodScript(): string {
  return readFileSync(new URL('network.sh', import.meta.url), 'utf8')
}

/** What each file has to say. */
export function networkFiles(
  network: BuildNetwork,
  nameservers: readonly string[],
): Record<FileName, string> {
  return {
    'network.sh': methodScript(),
    'ipnat.conf': ipnatConf(network),
    'dhcpd.conf': dhcpdConf(network, nameservers),
    'manifest.xml': manifestXml(network),
  }
}

/** In the first two lines: a script has another first one. */
const isMarked = (text: string) => text.split('\n', 2).some((line) => line.includes(MARK))

/** Did we write it? What was being written when the power failed is ours by its name. */
export const isOurs = (name: string, text: string) => isMarked(text) || /\.\d+\.partial$/.test(name)

/** Everything in our directory with its text, ours or not. @throws {BuildError} for unreadable ones */
export async function readNetworkFiles(): Promise<Map<string, string>> {
  try {
    const entries = await readdir(NETWORK_DIR, { withFileTypes: true })
    const texts = entries.map(async (entry) => {
      const text = entry.isFile() ? await readFile(pathOf(entry.name), 'utf8') : ''
      return [entry.name, text] as const
    })
    return new Map(await Promise.all(texts))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new Map()
    throw explain(`read ${NETWORK_DIR}`, error)
  }
}

/** The network that is set up, as its NAT rules say. */
export function readNetwork(files: ReadonlyMap<string, string>): BuildNetwork | undefined {
  const text = files.get('ipnat.conf') ?? ''
  const [, uplink, words = ''] = /^map (\S+) (\S+) -> /m.exec(text) ?? []
  const subnet = isMarked(text) ? readSubnet(words) : undefined
  return subnet && uplink !== undefined ? { subnet, uplink } : undefined
}

/** Name servers of /etc/resolv.conf that guests reach too: of IPv4, and not this zone itself. */
export function guestNameservers(text: string): string[] {
  const found = [...text.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)]
  return found.map(([, address]) => address!).filter((address) => !address.startsWith('127.'))
}
