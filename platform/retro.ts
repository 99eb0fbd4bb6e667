/**
 * Everything that a platform's root file system is given, so that it is a good guest: the list of
 * edits, in their order. The files are below files/, at their paths in the platform.
 */
import { readFileSync } from 'node:fs'
import { BuildError } from '../lib/cli/errors.ts'
import { change, type Edit, link, ownFile, put, putFile, type Retro } from './edits.ts'
import type { Ufs } from './ufs/edit.ts'

/** Where a platform of these years looks for certificates, and where an older one did. */
const CERTIFICATES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/curl/curlCA']
/** What has to be free after the edits, for logs of the first boot. */
const RESERVE = 512 * 1024

/** The root line of shadow(4): NP is no password at all, keys still work; `*LK*` would shut those out too. */
function withoutPassword(text: string): string | undefined {
  if (!/^root:/m.test(text)) return undefined
  return text.replace(/^root:[^:]*:/m, 'root:NP:')
}

/** Set options of sshd_config(4); the last of several lines would not count. */
export function withSshOptions(text: string, options: Readonly<Record<string, string>>): string {
  const names = Object.keys(options).join('|')
  const others = text
    .split('\n')
    .filter((line) => !new RegExp(`^\\s*(${names})\\b`, 'i').test(line))
    .join('\n')
  const lines = Object.entries(options).map(([name, value]) => `${name} ${value}\n`)
  return lines.join('') + others
}

const fill = (text: string, { stamp, version }: Retro) =>
  text.replaceAll('@STAMP@', stamp).replaceAll('@VERSION@', version)

/** A file of ours with its tokens filled in. */
const filled = (path: string, mode: number, what: string): Edit => ({
  what,
  apply: (ufs, retro) => putFile(ufs, path, fill(readFileSync(ownFile(path), 'utf8'), retro), mode),
})

const EXPORTS = [
  `CURL_CA_BUNDLE=${CERTIFICATES[0]}`,
  `SSL_CERT_FILE=${CERTIFICATES[0]}`,
  'export CURL_CA_BUNDLE SSL_CERT_FILE',
].join('\n')

const withExports = (text: string) =>
  text.includes('CURL_CA_BUNDLE') ? text : `${text.replace(/\n?$/, '\n')}${EXPORTS}\n`

const certificates: Edit = {
  what: 'current CA certificates',
  apply(ufs, { certificates: bundle }) {
    const content = Buffer.from(bundle)
    const real = CERTIFICATES.map((path) => (ufs.exists(path) ? ufs.realPath(path) : path))
    const { freeBytes } = ufs.space()
    if (content.length + RESERVE > freeBytes) {
      return `no room: ${content.length} bytes, and ${freeBytes} are free`
    }
    putFile(ufs, real[0]!, content, 0o644)
    if (ufs.exists(real[1]!)) ufs.remove(real[1]!)
    ufs.symlink(real[1]!, real[0]!)
    return undefined
  },
}

/** Only this version of the method is changed: it gives up where nobody answers to a ping. */
const ntpMethod: Edit = {
  what: 'start NTP where nobody answers to ping',
  apply(ufs) {
    const path = '/lib/svc/method/ntp'
    if (!ufs.exists(path)) return `there is no ${path}`
    const text = ufs.readFile(ufs.realPath(path)).toString('latin1')
    if (!/^(?!\s*#).*\bping\b/m.test(text)) return `${path} does not ping`
    return putFile(ufs, path, { file: ownFile(path) }, 0o555)
  },
}

const network: Edit = {
  what: 'NAT and addresses of the internal network',
  apply(ufs, { network: own }) {
    const path = '/smartdc/retro/network.conf'
    return putFile(ufs, path, { file: own ?? ownFile(path) }, 0o644)
  },
}

const PROFILES = { ours: '/etc/svc/profile/site/retro.xml', site: '/etc/svc/profile/site.xml' }

/** Every platform reads site.xml, the directory of the same name only newer ones. */
const profile: Edit = {
  what: 'services without use in a guest',
  apply(ufs) {
    const path = ufs.exists(PROFILES.site) ? PROFILES.ours : PROFILES.site
    return putFile(ufs, path, { file: ownFile(PROFILES.ours) }, 0o644)
  },
}

const METADATA = '/smartdc/retro/mdata'
const NAMES = ['get', 'put', 'delete', 'list']

/** All edits, in order. */
export const RETRO_EDITS: readonly Edit[] = [
  change('/etc/shadow', 'no password of root', withoutPassword, true),
  change('/etc/ssh/sshd_config', 'logins by key only', (text) =>
    withSshOptions(text, { PasswordAuthentication: 'no', PermitRootLogin: 'without-password' }),
  ),
  put(METADATA, 0o555, 'metadata client'),
  ...NAMES.map((name) => link(`${METADATA}-${name}`, 'mdata', `mdata-${name}`)),
  // Where an old platform's /usr/sbin has no such name, nothing can be mounted over it.
  ...NAMES.map((name) =>
    link(
      `/smartdc/bin/mdata-${name}`,
      `../retro/mdata-${name}`,
      `mdata-${name} where /usr has none`,
    ),
  ),
  filled('/etc/inet/ntp.conf', 0o644, 'time servers that exist'),
  ntpMethod,
  certificates,
  change('/etc/profile', 'certificates for every shell', withExports),
  change('/root/.bashrc', "certificates for root's shell", withExports),
  profile,
  put('/lib/svc/method/retro-setup', 0o555, 'set-up at the first boot'),
  put('/lib/svc/manifest/site/retro-setup.xml', 0o444, 'its service'),
  put('/lib/svc/method/retro-network', 0o555, 'network of the guest'),
  put('/lib/svc/manifest/site/retro-network.xml', 0o444, 'its service'),
  network,
  put('/smartdc/retro/zone.json.tmpl', 0o644, 'template for zones'),
  put('/smartdc/retro/create-zone', 0o555, 'create-zone'),
  put('/smartdc/retro/instance', 0o555, 'what it knows of itself'),
  filled('/etc/motd', 0o644, 'banner after the log-in'),
  filled('/etc/issue', 0o644, 'banner before it'),
]

export type EditReport = { what: string; leftOut: string | undefined }

/**
 * Make all edits.
 *
 * @returns what was done, and what was left out and why
 * @throws {BuildError} when one that is needed can't be made, or there is no room
 */
export function applyEdits(ufs: Ufs, retro: Retro, edits = RETRO_EDITS): EditReport[] {
  const reports = edits.map(({ what, apply }) => ({ what, leftOut: apply(ufs, retro) }))
  // The one thing that must not ship, whatever the list says.
  const shadow = ufs.readFile(ufs.realPath('/etc/shadow')).toString('latin1')
  if (/^root:(?!NP:)/m.test(shadow)) {
    throw new BuildError('Cannot ship this platform: /etc/shadow has a password of root')
  }
  return reports
}

/** Drivers that an instance's devices need, by what the platform has. */
export function driversOf(ufs: Pick<Ufs, 'exists' | 'readFile' | 'realPath'>): {
  nic: 'virtio' | 'e1000'
  disk: 'virtio' | 'ide'
} {
  const aliases = ufs.exists('/etc/driver_aliases')
    ? ufs.readFile(ufs.realPath('/etc/driver_aliases')).toString('latin1')
    : ''
  // A driver without a line there is never attached.
  const has = (driver: string) =>
    ufs.exists(`/kernel/drv/amd64/${driver}`) &&
    new RegExp(`^${driver}\\s+"pci1af4,`, 'm').test(aliases)
  return { nic: has('vioif') ? 'virtio' : 'e1000', disk: has('vioblk') ? 'virtio' : 'ide' }
}
