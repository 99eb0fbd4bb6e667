/**
 * A zone that can build images, made of an ordinary one from SmartOS' global zone: what is there is read,
 * what is missing is a plan of commands, and only that is done. Interrupted anywhere, it is completed by
 * the next run.
 *
 * Sources: vmadm(8), zonecfg(8), zfs(8); the settings are those that eng's mi-*-hvm and
 * triton-cloud-images tell operators to make by hand.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, HostError, UsageError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { shellCommand } from '../cli/shell-words.ts'
import { GLOBAL_ZONE } from './system.ts'
import {
  addResource,
  hasResource,
  readZoneConfig,
  withWords,
  type ZoneResource,
} from './zone-config.ts'

export type ZoneWishes = {
  /** Machines of QEMU with KVM, and of bhyve. */
  qemu: boolean
  bhyve: boolean
  /** build-retro mounts file systems of platforms. */
  retro: boolean
}

/** A step: what for, and the words of its command, with what it reads. */
export type ZoneStep = { why: string; words: string[]; input?: string }

export type ZonePlan = {
  steps: ZoneStep[]
  /** Machines that run in the zone, which a restart would end; empty where it is not restarted. */
  disturbed: string[]
}

/** Oldest image whose pkgsrc has a Node that is new enough. */
const OLDEST_IMAGE = { name: 'base-64-lts', version: '22.4.0' }
const BRANDS = ['joyent', 'joyent-minimal']
const PACKAGES = ['git-base', 'gnupg2', 'curl', 'xorriso', 'pigz', 'nodejs']
/** zlogin's own $PATH does not lead there. */
const PKGIN = '/opt/local/bin/pkgin'
const BHYVE_PACKAGES = ['isc-dhcpd']
const BHYVE_PRIVILEGES = ['proc_clock_highres', 'sys_dl_config']
const RETRO_FILE_SYSTEMS = ['pcfs', 'ufs']

type Vm = {
  uuid: string
  brand: string
  state: string
  image_uuid?: string
  nics?: { interface: string; mac: string; allow_ip_spoofing?: boolean }[]
}

const POLL_MS = 500

const ask = (words: string[]) => $({ nothrow: true, readOnly: true })`${words}`

/** @throws {HostError} outside the global zone */
export async function needGlobalZone(): Promise<void> {
  const { exitCode, stdout } = await ask(['zonename'])
  const zone = stdout.trim()
  if (exitCode === 0 && zone === GLOBAL_ZONE) return
  throw new HostError(
    exitCode === 0 ? `This is the zone ${zone}, not the global zone` : 'This is not SmartOS',
    { hint: "Run it in the global zone of the zone's compute node" },
  )
}

/** @throws {UsageError} when no such zone can become a build zone */
async function readVm(uuid: string): Promise<Vm> {
  const { exitCode, stdout } = await ask(['vmadm', 'get', uuid])
  if (exitCode !== 0) {
    throw new UsageError(`Cannot find zone ${uuid}: vmadm does not know it`, {
      hint: 'See "vmadm list"; make one with "vmadm create" of the image base-64-lts',
    })
  }
  const vm = JSON.parse(stdout) as Vm
  if (!BRANDS.includes(vm.brand)) {
    throw new UsageError(`Cannot build in ${uuid}: its brand is ${vm.brand}, not ${BRANDS[0]}`)
  }
  return vm
}

/** Numbers between dots, compared one by one. */
const older = (one: string, other: string) =>
  new Intl.Collator('en', { numeric: true }).compare(one, other) < 0

/** @throws {UsageError} for an image that is too old, or another */
async function checkImage({ uuid, image_uuid }: Vm): Promise<void> {
  const { exitCode, stdout } = await ask(['imgadm', 'get', image_uuid ?? ''])
  if (exitCode !== 0) return // destroyed since: what is in the zone will show
  const { manifest } = JSON.parse(stdout) as { manifest: { name: string; version: string } }
  const { name, version } = manifest
  if (name === OLDEST_IMAGE.name && !older(version, OLDEST_IMAGE.version)) return
  throw new UsageError(`Cannot build in ${uuid}: its image is ${name} ${version}`, {
    hint: `Make a zone of ${OLDEST_IMAGE.name} ${OLDEST_IMAGE.version} or later`,
  })
}

/** What the configuration has to have. */
function wantedResources(uuid: string, { qemu, bhyve }: ZoneWishes): ZoneResource[] {
  const device = (match: string): ZoneResource => ({ kind: 'device', properties: { match } })
  return [
    { kind: 'dataset', properties: { name: `zones/${uuid}/data` } },
    {
      kind: 'fs',
      properties: { dir: '/smartdc', special: '/smartdc', type: 'lofs', options: 'ro' },
    },
    ...(qemu ? [device('kvm')] : []),
    ...(bhyve ? [device('/dev/viona'), device('/dev/vmm*')] : []),
  ]
}

async function planDataset(uuid: string): Promise<ZoneStep[]> {
  const name = `zones/${uuid}/data`
  const { exitCode, stdout } = await ask(['zfs', 'list', '-H', '-o', 'zoned,mountpoint', name])
  const wanted = ['zoned=on', 'mountpoint=/data']
  if (exitCode !== 0) {
    const words = ['zfs', 'create', ...wanted.flatMap((one) => ['-o', one]), name]
    return [{ why: 'a dataset for builds', words }]
  }
  const [zoned, mountpoint] = stdout.trim().split('\t')
  const present = [`zoned=${zoned}`, `mountpoint=${mountpoint}`]
  return wanted
    .filter((one) => !present.includes(one))
    .map((one) => ({ why: 'the dataset as a zone needs it', words: ['zfs', 'set', one, name] }))
}

async function planConfig(uuid: string, wishes: ZoneWishes): Promise<ZoneStep[]> {
  const words = ['zonecfg', '-z', uuid]
  const { exitCode, stdout, stderr } = await ask([...words, 'export'])
  if (exitCode !== 0) {
    throw new BuildError(`Cannot read the configuration of ${uuid}: ${stderr.trim()}`)
  }
  const config = readZoneConfig(stdout)
  const missing = wantedResources(uuid, wishes).filter((one) => !hasResource(config, one))
  const { limitpriv, 'fs-allowed': allowed } = config.properties
  const privileges = wishes.bhyve && withWords(limitpriv, BHYVE_PRIVILEGES, 'default')
  const systems = wishes.retro && withWords(allowed, RETRO_FILE_SYSTEMS)
  return [
    ...missing.map((one) => ({
      why: Object.values(one.properties)[0]!,
      words: [...words, addResource(one)],
    })),
    ...(privileges
      ? [{ why: 'bhyve’s privileges', words: [...words, `set limitpriv=${privileges}`] }]
      : []),
    ...(systems
      ? [{ why: 'file systems of platforms', words: [...words, `set fs-allowed=${systems}`] }]
      : []),
  ]
}

function planNetwork({ uuid, nics = [] }: Vm, { bhyve }: ZoneWishes): ZoneStep[] {
  if (!bhyve) return []
  if (nics.length === 0) {
    throw new UsageError(`Cannot build in ${uuid}: it has no network interface`, {
      hint: 'Add one with "vmadm update", with "add_nics"',
    })
  }
  const first = nics[0]!
  if (first.allow_ip_spoofing) return []
  const update = { update_nics: [{ mac: first.mac, allow_ip_spoofing: true }] }
  return [
    {
      why: `${first.interface} hands on what its guests send`,
      words: ['vmadm', 'update', uuid],
      input: JSON.stringify(update),
    },
  ]
}

/** Is in the zone what its configuration says? Not before it was restarted. */
async function isInForce({ uuid, state }: Vm, wishes: ZoneWishes): Promise<boolean> {
  if (state !== 'running') return false
  const paths = [
    ...['/data', '/smartdc'],
    ...(wishes.qemu ? ['/dev/kvm'] : []),
    ...(wishes.bhyve ? ['/dev/viona', '/dev/vmmctl'] : []),
  ]
  return (await ask(['zlogin', uuid, 'ls', '-d', ...paths])).exitCode === 0
}

async function planPackages({ uuid, state }: Vm, { bhyve }: ZoneWishes): Promise<ZoneStep[]> {
  const wanted = [...PACKAGES, ...(bhyve ? BHYVE_PACKAGES : [])]
  const listed = state === 'running' ? (await ask(['zlogin', uuid, PKGIN, 'list'])).stdout : ''
  const has = (name: string) => new RegExp(`^${name}-\\d`, 'm').test(listed)
  const missing = wanted.filter((name) => !has(name))
  if (missing.length === 0) return []
  const pkgin = (...words: string[]) => ['zlogin', uuid, PKGIN, '-y', ...words]
  return [
    { why: 'package lists', words: pkgin('update') },
    { why: 'programs', words: pkgin('install', ...missing) },
  ]
}

/**
 * What is missing, in the order in which it is done.
 *
 * @throws {UsageError} when the zone can't become a build zone
 */
export async function planBuildZone(uuid: string, wishes: ZoneWishes): Promise<ZonePlan> {
  const vm = await readVm(uuid)
  await checkImage(vm)
  const changes = [
    ...(await planDataset(uuid)),
    ...(await planConfig(uuid, wishes)),
    ...planNetwork(vm, wishes),
  ]
  const restart = changes.length > 0 || !(await isInForce(vm, wishes))
  const running = vm.state === 'running'
  const stop = { why: 'what was changed gets into force', words: ['vmadm', 'stop', uuid] }
  const start = { why: 'the zone runs', words: ['vmadm', 'start', uuid] }
  const machines =
    restart && running
      ? (await ask(['pgrep', '-l', '-z', uuid, 'qemu-system|bhyve'])).stdout.trim()
      : ''
  return {
    steps: [
      ...changes,
      ...(restart ? [...(running ? [stop] : []), start] : []),
      ...(await planPackages(vm, wishes)),
    ],
    disturbed: machines === '' ? [] : machines.split('\n').map((line) => line.trim()),
  }
}

/** A step as an operator would type it. */
export const stepLine = ({ words, input }: ZoneStep) =>
  shellCommand({ words, ...(input !== undefined && { input }) })

/** Do the steps, in order. @throws {BuildError} with the failed command's own words */
export async function followPlan({ steps }: ZonePlan, onStep: (step: ZoneStep) => void) {
  for (const step of steps) {
    onStep(step)
    const { words, input } = step
    await (input === undefined ? $`${words}` : $({ input })`${words}`)
    if (words[0] === 'vmadm' && words[1] === 'start') await waitForZone(words[2]!)
  }
}

/** A zone that has just been started has no network for some seconds. */
const START_LIMIT_MS = 180_000

async function waitForZone(uuid: string): Promise<void> {
  const milestone = 'svc:/milestone/multi-user-server:default'
  const end = Date.now() + START_LIMIT_MS
  for (;;) {
    const { stdout } = await ask(['zlogin', uuid, 'svcs', '-H', '-o', 'state', milestone])
    if (stdout.trim() === 'online') return
    if (Date.now() > end) {
      throw new BuildError(
        `Zone ${uuid} was started, but ${milestone} is ${stdout.trim() || 'not there'}, not online`,
        { hint: `See what "zlogin ${uuid} svcs -xv" says, mend it, and run this again` },
      )
    }
    await delay(POLL_MS, undefined, { signal: stopSignal() })
  }
}
