/**
 * UEFI firmware for QEMU, found by the descriptors that distributions install with it: paths and
 * formats differ between them and change between releases.
 * Source: QEMU's docs/interop/firmware.json.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Arch } from '../../distros/distro.ts'
import { HostError } from '../cli/errors.ts'
import { QEMU_NAMES } from './arch.ts'
import type { Tool } from './tools.ts'

export type Firmware = {
  /** Code, read-only; shared by all machines. */
  code: string
  codeFormat: string
  /** What a machine's own variables start from. */
  variables: string
  variablesFormat: string
}

/** The administrator's own come first, as for QEMU's other users. */
const DIRS = ['/etc/qemu/firmware', '/usr/share/qemu/firmware']

type Descriptor = {
  'interface-types'?: string[]
  mapping?: {
    device?: string
    executable?: { filename: string; format: string }
    'nvram-template'?: { filename: string; format: string }
  }
  targets?: { architecture: string; machines: string[] }[]
  features?: string[]
}

/** Debian's package for each architecture, and a file in it. */
const PACKAGES: Readonly<Record<Arch, { apt: string; file: string }>> = {
  amd64: { apt: 'ovmf', file: '/usr/share/OVMF/OVMF_CODE_4M.fd' },
  arm64: { apt: 'qemu-efi-aarch64', file: '/usr/share/AAVMF/AAVMF_CODE.fd' },
}

/** Families of machine types that this program uses, and their architecture. */
const archOf = (family: string): Arch => (family === 'virt' ? 'arm64' : 'amd64')

/** Features that need more than a plain machine, or refuse unsigned systems. */
const UNWANTED = ['requires-smm', 'enrolled-keys']

/**
 * The firmware in a descriptor, where it suits machines of this family (`pc-i440fx`, `pc-q35`, `virt`). One that is
 * damaged describes none.
 */
export function readDescriptor(text: string, family: string): Firmware | undefined {
  try {
    return suitable(JSON.parse(text) as Descriptor, family)
  } catch {
    return undefined
  }
}

function suitable(descriptor: Descriptor, family: string): Firmware | undefined {
  const { mapping, targets, features, ...rest } = descriptor
  const { executable, 'nvram-template': variables, device } = mapping ?? {}
  const suits = targets?.some(
    ({ architecture, machines }) =>
      architecture === QEMU_NAMES[archOf(family)] &&
      machines.some((name) => name.startsWith(family)),
  )
  if (!suits || !rest['interface-types']?.includes('uefi') || device !== 'flash') return undefined
  if (!executable || !variables) return undefined
  if (features?.some((feature) => UNWANTED.includes(feature))) return undefined
  return {
    code: executable.filename,
    codeFormat: executable.format,
    variables: variables.filename,
    variablesFormat: variables.format,
  }
}

/** Firmware for machines of a family, or undefined. */
export function findFirmware(
  family: string,
  dirs: readonly string[] = DIRS,
  exists: (path: string) => boolean = existsSync,
): Firmware | undefined {
  for (const dir of dirs) {
    for (const name of listed(dir)) {
      const found = readDescriptor(readFileSync(join(dir, name), 'utf8'), family)
      // Debian 12 describes an AAVMF for Secure Boot that its package does not bring.
      if (found && exists(found.code) && exists(found.variables)) return found
    }
  }
  return undefined
}

const listed = (dir: string) => {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.json'))
      .sort()
  } catch {
    return [] // QEMU's users need not have it
  }
}

/** As findFirmware. @throws {HostError} when there is none */
export function needFirmware(family: string): Firmware {
  const found = findFirmware(family)
  if (found) return found
  throw new HostError(
    `Cannot find UEFI firmware for ${family} machines: none of ${DIRS.join(', ')} describes it`,
    {
      hint: `Install it; on Debian and Ubuntu: apt-get install -y ${PACKAGES[archOf(family)].apt}`,
    },
  )
}

/** For ensureTools(): the firmware as a file that a package brings. */
export function firmwareTool(family: string): Tool {
  const { apt, file } = PACKAGES[archOf(family)]
  return {
    name: findFirmware(family)?.code ?? file,
    apt,
    why: 'is the UEFI firmware of virtual machines',
  }
}
