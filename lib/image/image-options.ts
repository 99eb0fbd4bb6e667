/** Options of the create-image commands, and how each is read. */
import { parseList, parseSize, parseUrl, type Options, type OptionTable } from '../cli/options.ts'
import { UsageError } from '../cli/errors.ts'
import { diskOptions } from '../disk/disk.ts'
import { LAYOUTS, SMALLEST_DISK } from '../disk/layout.ts'
import { parseLeftovers } from '../hygiene/leftovers.ts'
import { machineOptions } from '../machine/options.ts'
import { archOption } from './arch.ts'
import { builderOption } from './provenance.ts'
import { proxyOption } from './proxy.ts'
import { shippingOptions } from './shipping.ts'

const MIB = 1024 ** 2

/** A disk size in whole MiB, large enough for a system. @throws {UsageError} otherwise */
function parseDiskSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes >= SMALLEST_DISK) return bytes
  throw new UsageError(`Size ${text} is too small: a system needs ${SMALLEST_DISK / MIB}M at least`)
}

function parsePackages(text: string): string[] {
  const names = parseList(text)
  const wrong = names.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name))
  if (wrong === undefined) return names
  throw new UsageError(`Cannot read package name "${wrong}": names are lower-case, as in vim-tiny`)
}

function parseKernel(text: string): string {
  const names = parsePackages(text)
  if (names.length === 1) return names[0]!
  throw new UsageError(`Cannot read kernel "${text}": name one package`)
}

/** Where a build works. */
export const WORK = ['auto', 'memory', 'disk'] as const

function parseSnapshot(text: string): string {
  if (/^\d{8}T\d{6}Z$/.test(text)) return text
  throw new UsageError(`Cannot read snapshot "${text}": a time is needed, as in 20261101T000000Z`)
}

/** Ways to get a system onto the disk. */
export const METHODS = ['bootstrap', 'installer', 'cloud-image'] as const
export type MethodName = (typeof METHODS)[number]

/** Options of the create-image commands. */
export const imageOptions = {
  ...shippingOptions,
  ...archOption,
  method: {
    arg: 'NAME',
    choices: METHODS,
    help: "bootstrap fills the disk from a package mirror; installer runs the vendor's own in a machine; cloud-image boots and changes the vendor's cloud image (default: the first of them that the distro has)",
  },
  layout: {
    arg: 'NAME',
    choices: LAYOUTS,
    default: 'plain',
    help: 'system on a partition, or on the logical volume rootlv',
  },
  output: { arg: 'DIR', default: 'bits', help: 'where images go, below <name>/<stamp>/' },
  size: { arg: 'SIZE', default: '10G', parse: parseDiskSize, help: 'size of the disk' },
  ...diskOptions,
  dataset: {
    arg: 'NAME',
    default: '/data',
    help: 'where volumes are made: a dataset, or what it is mounted at',
  },
  kernel: {
    arg: 'PKG',
    parse: parseKernel,
    help: "kernel package instead of the release's own; a tgz has none without it",
  },
  include: { arg: 'PKG,...', default: '', parse: parsePackages, help: 'packages to add' },
  customize: { arg: 'SCRIPT', help: 'run this inside the new system before it is cleaned up' },
  'allow-leftover': {
    arg: 'NAME,...',
    default: '',
    parse: parseLeftovers,
    help: 'leftovers to ship on purpose, by the names that a refused build gives them',
  },
  mirror: { arg: 'URL', parse: parseUrl, help: 'package mirror for the build, not for the image' },
  'security-mirror': {
    arg: 'URL',
    parse: (text: string) => (text === 'none' ? 'none' : parseUrl(text)),
    help: "security mirror that goes with --mirror, or none (default: the vendor's)",
  },
  keyring: {
    arg: 'FILE',
    help: "keys that sign the packages of --mirror, where they are not the vendor's",
  },
  proxy: proxyOption,
  iso: { arg: 'PATH|URL', help: "installation medium instead of the vendor's newest" },
  media: {
    arg: 'URL',
    parse: parseUrl,
    help: "folder with the vendor's media and their list, in place of the vendor's own",
  },
  sums: { arg: 'NAME', help: 'name of the list there (default: as the vendor calls it)' },
  checksum: {
    arg: 'HEX|FILE',
    help: "the medium's or base image's SHA-256 or SHA-512, or a file that lists it",
  },
  key: { arg: 'FILE', help: "the vendor's signing key; its fingerprint has to be the known one" },
  answers: { arg: 'FILE', help: "more answers for the installer, behind this project's own" },
  base: {
    arg: 'PATH|URL',
    help: "cloud image instead of the vendor's newest: qcow2, raw, or a tar of one",
  },
  files: {
    arg: 'DIR',
    help: 'what --customize can fetch at http://$HYBRID_HTTP_IP:$HYBRID_HTTP_PORT/',
  },
  'user-data': {
    arg: 'FILE',
    help: "more for the base image's cloud-init, beside this project's own",
  },
  ...machineOptions,
  memory: {
    arg: 'SIZE',
    parse: parseSize,
    help: 'memory of the machine (default: what the installer needs)',
  },
  ...builderOption,
  snapshot: {
    arg: 'TIME',
    parse: parseSnapshot,
    help: "state of the vendor's archive, as in 20261101T000000Z; or of --mirror, where that has {snapshot} in its place",
  },
  locked: {
    arg: 'FILE',
    help: "packages of an earlier build, by its .lock.json, and its image's date",
  },
  work: {
    arg: 'NAME',
    choices: WORK,
    default: 'auto',
    help: 'where temporary files are; auto takes memory where there is enough of it',
  },
  fresh: { help: 'make every stage anew, though an earlier build has kept it' },
  'upload-to': { arg: 'DIR', help: 'where the stage upload puts finished builds' },
  cache: {
    arg: 'DIR',
    help: 'where downloads are kept (default ~/.cache/hybrid-images)',
  },
  offline: { help: 'use the cache alone, no network' },
  'dry-run': { help: 'print the recipe and every command in order; touch nothing' },
  json: { help: 'print the result as JSON' },
  keep: { help: 'keep temporary files, for a look' },
  install: { default: true, help: 'do not install missing host packages: say what is missing' },
} as const satisfies OptionTable

export type ImageOptions = Options<typeof imageOptions>
