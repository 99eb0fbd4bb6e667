/**
 * Everything that a build may need of this machine, looked at all at once: what is there, and the command
 * that brings what is not.
 */
import { statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import type { Arch, Distro } from '../../distros/distro.ts'
import { BuildError, HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { shellCommand } from '../cli/shell-words.ts'
import { nearestExisting } from './directories.ts'
import { chooseAccelerator } from './accelerator.ts'
import { findFirmware, firmwareTool } from './firmware.ts'
import { DEFAULTS, INSTANCE, readNetwork, readNetworkFiles } from './network/files.ts'
import { ARCH_TEST, emulatorTools, enableWords, runsPrograms } from './foreign.ts'
import { askQemu, findQemu, qemuTool } from './qemu.ts'
import { checkUplink, DHCPD, DHCPD_FIX } from './network/needs.ts'
import { privilegesFix, readPrivileges } from './privileges.ts'
import { readService, serviceReason } from './network/state.ts'
import { GLOBAL_ZONE, type System } from './system.ts'
import {
  aptInstall,
  extendPath,
  findTool,
  INSTALLER_TOOLS,
  MACHINE_TOOLS,
  type Tool,
  TOOLS,
} from './tools.ts'
import { checkUserNamespaces } from './user-namespaces.ts'

export type HostCheck = {
  /** What is looked at. */
  name: string
  /** What needs it: `bootstrap`, `installer`, ...; undefined: everything does. */
  for: string | undefined
  status: 'ok' | 'missing' | 'slower'
  /** What was found. */
  found: string
  /** The command that mends it, or where there is none what to do. */
  fix?: string
}

/** The architecture that is not the usual one. */
const OTHER: Arch = 'arm64'
const forOther = `with --arch ${OTHER}`

const GIB = 1024 ** 3
/** A build's temporary files and its result. */
const DISK_GIB = 4
/** A machine, and what runs beside it. */
const MEMORY_GIB = 2.5

const version = async (program: string, pattern = /\d+(\.\d+)+/) => {
  const { stdout, stderr } = await $({ nothrow: true, readOnly: true })`${program} --version`
  return pattern.exec(stdout + stderr)?.[0] ?? 'of unknown version'
}

/** @param temporary where builds have their temporary files */
export async function checkHost(
  system: System,
  distros: readonly Distro[],
  temporary: string,
): Promise<HostCheck[]> {
  extendPath()
  const common = [checkMachine(system), checkNode(), await checkDisk(temporary), checkMemory()]
  return [...common, ...(await (system.kind === 'linux' ? onLinux(distros) : onSmartos(system)))]
}

function checkMachine({ title, machine }: System): HostCheck {
  const fits = /^(x86_64|amd64|i86pc|aarch64)$/.test(machine)
  return {
    name: 'system',
    for: undefined,
    status: fits ? 'ok' : 'missing',
    found: `${title}, ${machine}`,
    ...(!fits && { fix: 'Build on an x86-64 or arm64 machine' }),
  }
}

function checkNode(): HostCheck {
  return { name: 'Node', for: undefined, status: 'ok', found: process.versions.node }
}

async function checkDisk(temporary: string): Promise<HostCheck> {
  const { bavail, bsize } = await statfs(await nearestExisting(temporary))
  const free = (Number(bavail) * Number(bsize)) / GIB
  return {
    name: `disk below ${temporary}`,
    for: undefined,
    status: free >= DISK_GIB ? 'ok' : 'missing',
    found: `${free.toFixed(1)} GiB free`,
    ...(free < DISK_GIB && { fix: `Make ${DISK_GIB} GiB free, or set TMPDIR to where they are` }),
  }
}

function checkMemory(): HostCheck {
  const free = freemem() / GIB
  return {
    name: 'memory',
    for: 'installer, test-image',
    status: free >= MEMORY_GIB ? 'ok' : 'missing',
    found: `${free.toFixed(1)} GiB free`,
    ...(free < MEMORY_GIB && { fix: `Make ${MEMORY_GIB} GiB free` }),
  }
}

function checkTool(needs: string, tool: Tool, installed = findTool(tool.name)): HostCheck {
  const { name, apt, why, optional } = tool
  if (installed !== undefined) return { name, for: needs, status: 'ok', found: installed }
  return {
    name,
    for: needs,
    status: optional ? 'slower' : 'missing',
    found: `nothing; it ${why}`,
    fix: shellCommand({ words: aptInstall([apt]) }),
  }
}

async function onLinux(distros: readonly Distro[]): Promise<HostCheck[]> {
  const { newuidmap, ...bootstrap } = TOOLS
  const root = process.getuid?.() === 0
  const keyrings = distros.flatMap(({ title, bootstrap: method }) =>
    method && 'apt' in method.keyring
      ? [{ name: method.keyring.file, apt: method.keyring.apt, why: `holds ${title}'s keys` }]
      : [],
  )
  const { qemu, qemuImg: _, ...machine } = MACHINE_TOOLS
  return [
    ...[...Object.values(bootstrap), ...keyrings, ...(root ? [] : [newuidmap])].map((tool) =>
      checkTool('bootstrap', tool),
    ),
    ...(root ? [] : [await checkNamespaces()]),
    ...Object.values(INSTALLER_TOOLS).map((tool) => checkTool('installer', tool)),
    await checkQemu(qemu),
    ...Object.values(machine).map((tool) => checkTool('installer, test-image', tool)),
    ...['pc-i440fx', 'pc-q35'].map((family) => checkUefi(family, 'test-image')),
    await checkAccelerator(),
    await checkPrograms(OTHER, `bootstrap ${forOther}`),
    checkTool(
      `cloud-image ${forOther}`,
      { ...qemuTool(OTHER), name: `QEMU for ${OTHER}` },
      findQemu(undefined, findTool, OTHER),
    ),
    checkUefi('virt', `cloud-image ${forOther}`),
  ]
}

/** Does this machine run programs of another kind, so that a system of that kind can be filled here? */
async function checkPrograms(arch: Arch, needs: string): Promise<HostCheck> {
  const row = { name: `programs of ${arch}`, for: needs }
  if (await runsPrograms(arch)) return { ...row, status: 'ok', found: 'they run' }
  const missing = [ARCH_TEST, ...emulatorTools(arch)].filter(({ name }) => !findTool(name))
  if (missing.length === 0) {
    const fix = shellCommand({ words: enableWords(arch) })
    return { ...row, status: 'missing', found: 'the kernel has no handler for them', fix }
  }
  return {
    ...row,
    status: 'missing',
    found: `no ${missing.map(({ name }) => name).join(', ')}`,
    fix: shellCommand({ words: aptInstall(missing.map(({ apt }) => apt)) }),
  }
}

async function checkNamespaces(): Promise<HostCheck> {
  const row = { name: 'user name spaces', for: 'bootstrap without root' }
  try {
    await checkUserNamespaces()
    return { ...row, status: 'ok', found: 'they can be made' }
  } catch (error) {
    if (!(error instanceof HostError)) throw error
    const fix = error.hint?.replace(/^Run: /, '')
    return { ...row, status: 'missing', found: error.message, ...(fix !== undefined && { fix }) }
  }
}

async function checkQemu(tool: Tool): Promise<HostCheck> {
  const path = findQemu()
  const row = checkTool('installer, test-image', { ...tool, name: 'QEMU' }, path)
  return path === undefined ? row : { ...row, found: `${await version(path)}, ${path}` }
}

function checkUefi(family: string, needs: string): HostCheck {
  const firmware = findFirmware(family)
  const tool = { ...firmwareTool(family), name: `UEFI firmware for ${family}` }
  return checkTool(needs, tool, firmware?.code)
}

/** KVM is tried, not believed. */
async function checkAccelerator(): Promise<HostCheck> {
  const row = { name: 'KVM', for: 'installer, test-image' }
  const program = findQemu()
  if (program === undefined) {
    return {
      ...row,
      status: 'slower',
      found: 'not tried: there is no QEMU',
      fix: 'Install QEMU first',
    }
  }
  try {
    const { cpu } = await chooseAccelerator('kvm', { program, lacks: await askQemu(program) })
    return { ...row, status: 'ok', found: `it works, with -cpu ${cpu}` }
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    const found = error.message.replace(/^Cannot use KVM: /, '')
    // A device that is there and does not work is for the administrator of the machine below this one.
    const fix = /is missing/.test(found) && {
      fix: 'Load the module kvm_intel or kvm_amd, and let this user use /dev/kvm (group kvm)',
    }
    return { ...row, status: 'slower', found, ...fix }
  }
}

/** What is free in a zone's own dataset, which builds of several images share. */
const DATASET_GIB = 30

/** pkgsrc's packages, by a program of each. */
const PKGSRC = [
  { name: 'git', package: 'git-base' },
  { name: 'gpg', package: 'gnupg2' },
  { name: 'curl', package: 'curl' },
  { name: 'xorriso', package: 'xorriso' },
  { name: 'pigz', package: 'pigz', optional: true },
]

/** In a zone, as setup-build-zone prepares it. */
async function onSmartos({ zone }: Extract<System, { kind: 'smartos' }>): Promise<HostCheck[]> {
  if (zone === GLOBAL_ZONE) {
    const fix = './bin/setup-build-zone UUID, then build in that zone'
    return [{ name: 'zone', for: undefined, status: 'missing', found: 'the global zone', fix }]
  }
  const prepare = (hypervisor: string) =>
    `In the global zone: ./bin/setup-build-zone ${zone} --hypervisor ${hypervisor}`
  const device = (name: string, needs: string, hypervisor: string): HostCheck => {
    const there = findTool(name) !== undefined
    return {
      name,
      for: needs,
      status: there ? 'ok' : 'missing',
      found: there ? 'present' : 'absent',
      ...(!there && { fix: prepare(hypervisor) }),
    }
  }
  return [
    { name: 'zone', for: undefined, status: 'ok', found: zone },
    await checkDataset(zone, prepare('qemu')),
    await checkPrivileges(),
    device('/smartdc/bin/qemu-system-x86_64', 'machines of QEMU', 'qemu'),
    device('/dev/kvm', 'machines of QEMU', 'qemu'),
    device('/dev/viona', 'machines of bhyve', 'bhyve'),
    device('/dev/vmmctl', 'machines of bhyve', 'bhyve'),
    ...(await checkBuildNetwork(zone)),
    ...PKGSRC.map(({ name, package: pkg, optional }): HostCheck => {
      const found = findTool(name)
      if (found !== undefined) return { name, for: 'installer', status: 'ok', found }
      const status = optional ? 'slower' : 'missing'
      return { name, for: 'installer', status, found: 'nothing', fix: `pkgin -y install ${pkg}` }
    }),
  ]
}

async function checkDataset(zone: string, fix: string): Promise<HostCheck> {
  const name = `zones/${zone}/data`
  const row = { name: `dataset ${name}`, for: 'disks on zvols' }
  const words = ['zfs', 'list', '-H', '-p', '-o', 'avail', name]
  const { exitCode, stdout } = await $({ nothrow: true, readOnly: true })`${words}`
  if (exitCode !== 0) return { ...row, status: 'missing', found: 'absent', fix }
  const free = Number(stdout.trim()) / GIB
  const found = `${free.toFixed(1)} GiB free`
  if (free >= DATASET_GIB) return { ...row, status: 'ok', found }
  const more = `Make ${DATASET_GIB} GiB free, by its quota (zfs set quota=... ${name} in the global zone) or its pool`
  return { ...row, status: 'missing', found, fix: more }
}

async function checkPrivileges(): Promise<HostCheck> {
  const row = { name: 'privileges', for: 'disks on zvols, machines' }
  const privileges = await readPrivileges()
  if (privileges === 'root') return { ...row, status: 'ok', found: 'root' }
  if (privileges === 'pfexec') {
    return { ...row, status: 'ok', found: 'pfexec, by the profile Primary Administrator' }
  }
  return { ...row, status: 'missing', found: 'an ordinary user', fix: privilegesFix() }
}

/** What guests of bhyve need to get at the network. */
async function checkBuildNetwork(zone: string): Promise<HostCheck[]> {
  const needs = 'machines of bhyve'
  const network = readNetwork(await readNetworkFiles())
  const uplink = network?.uplink ?? DEFAULTS.uplink
  const [problem] = await checkUplink(uplink, zone)
  const dhcpd = findTool(DHCPD)
  return [
    {
      name: `IP spoofing of ${uplink}`,
      for: needs,
      status: problem ? 'missing' : 'ok',
      found: problem?.found ?? 'allowed',
      ...(problem && { fix: problem.fix }),
    },
    {
      name: 'dhcpd',
      for: needs,
      status: dhcpd === undefined ? 'missing' : 'ok',
      found: dhcpd ?? 'nothing',
      ...(dhcpd === undefined && { fix: DHCPD_FIX }),
    },
    { name: 'build network', for: needs, ...(await checkNetworkService()) },
  ]
}

async function checkNetworkService(): Promise<Pick<HostCheck, 'status' | 'found' | 'fix'>> {
  const service = await readService()
  if (service === 'online') return { status: 'ok', found: service }
  if (service === 'maintenance') {
    const { reason, log } = await serviceReason()
    const fix = `Mend what the end of ${log} says, then: svcadm clear ${INSTANCE}`
    return { status: 'missing', found: `in maintenance: ${reason}`, fix }
  }
  return { status: 'missing', found: service ?? 'absent', fix: './bin/setup-build-network' }
}

/** The rows as lines, and at the end the commands that mend all that is missing. */
export function hostReport(checks: readonly HostCheck[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const rows = checks.map(
    ({ name, status, found, ...rest }) =>
      `${status.padEnd(7)}  ${name.padEnd(width)}  ${found}${rest.for ? ` (for ${rest.for})` : ''}`,
  )
  const fixes = fixesOf(checks)
  return [
    ...rows,
    ...(fixes.length > 0 ? ['', 'To mend it:', ...fixes.map((fix) => `  ${fix}`)] : []),
  ]
}

/** Commands, each once; packages by one command for all. */
export function fixesOf(checks: readonly HostCheck[]): string[] {
  const all = checks.flatMap(({ fix }) => (fix === undefined ? [] : [fix]))
  const joined = (command: string) => {
    const names = all.flatMap((fix) =>
      fix.startsWith(`${command} `) ? fix.slice(command.length + 1).split(' ') : [],
    )
    return names.length === 0 ? [] : [`${command} ${[...new Set(names)].join(' ')}`]
  }
  const managers = [shellCommand({ words: aptInstall([]) }), 'pkgin -y install']
  const others = all.filter((fix) => !managers.some((command) => fix.startsWith(`${command} `)))
  return [...managers.flatMap(joined), ...new Set(others)]
}
