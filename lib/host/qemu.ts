/** QEMU's program: where it is, and what it does not know. */
import type { Arch } from '../../distros/distro.ts'
import { HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { hostArch } from './arch.ts'
import { findTool, MACHINE_TOOLS, type Tool, tool } from './tools.ts'

/** Enterprise Linux', which runs machines of its host's kind. */
const OF_HOST = '/usr/libexec/qemu-kvm'

/** SmartOS' own comes first, which alone can use its KVM; then the usual one. */
const NAMES: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ['/smartdc/bin/qemu-system-x86_64', 'qemu-system-x86_64'],
  arm64: ['qemu-system-aarch64'],
}

/** For ensureTools(): the usual program, and the package that brings it. */
export const qemuTool = (arch: Arch): Tool =>
  arch === 'amd64'
    ? MACHINE_TOOLS.qemu
    : tool('qemu-system-aarch64', 'qemu-system-arm', 'runs virtual machines of arm64')

/**
 * Where QEMU is, or undefined when it has to be installed.
 *
 * @param given name or path that the operator wants
 * @param arch of its machines
 * @throws {HostError} when that one is not there
 */
export function findQemu(
  given?: string,
  find: (name: string) => string | undefined = findTool,
  arch: Arch = 'amd64',
): string | undefined {
  const names = [...NAMES[arch], ...(arch === hostArch() ? [OF_HOST] : [])]
  if (given === undefined) return names.map((name) => find(name)).find(Boolean)
  const found = find(given)
  if (found !== undefined) return found
  throw new HostError(`Cannot find QEMU as "${given}"`, {
    hint: 'Name a program in $PATH or an absolute path, or leave --qemu-binary out',
  })
}

/** What QEMU has learned since SmartOS' own was made of 0.14, as far as we use it; by our names. */
export const QEMU_FEATURES = [
  'machine', // -machine, before: -M
  'accel', // -accel, before: -enable-kvm and, where KVM is the default, -no-kvm
  'enable-kvm',
  'no-kvm',
  'display', // -display none, before: -vnc none
  'discard', // the guest gives back what it does not need
  'unsafe cache',
  'bootindex', // an order of devices to boot from, before: -boot order=
  'ide-cd', // drives of their own kind, before: ide-drive
  'rng', // virtio-rng-pci
  'exit device', // isa-debug-exit
  'firmware', // UEFI in flash memory
] as const
export type QemuFeature = (typeof QEMU_FEATURES)[number]

/** What a QEMU lacks. */
export type QemuLacks = ReadonlySet<QemuFeature>

/**
 * Read its own texts.
 *
 * @param help what `-help` prints
 * @param devices what `-device ?` prints, and `-device virtio-blk-pci,?`
 */
export function readQemuFeatures(help: string, devices: string): QemuLacks {
  const option = (name: string) => new RegExp(`^-${name}\\b`, 'm').test(help)
  const device = (name: string) => devices.includes(`name "${name}"`)
  const has: Record<QemuFeature, boolean> = {
    machine: option('machine'),
    accel: option('accel'),
    'enable-kvm': option('enable-kvm'),
    'no-kvm': option('no-kvm'),
    display: option('display'),
    discard: /[[,]discard=/.test(help),
    'unsafe cache': /cache=[a-z|]*\bunsafe\b/.test(help),
    bootindex: /\bbootindex\b/.test(devices),
    'ide-cd': device('ide-cd'),
    rng: device('virtio-rng-pci'),
    'exit device': device('isa-debug-exit'),
    firmware: option('blockdev') || device('cfi.pflash01'),
  }
  return new Set(QEMU_FEATURES.filter((name) => !has[name]))
}

/** Ask a QEMU what it lacks. @throws {HostError} when it does not answer as QEMU does */
export async function askQemu(program: string): Promise<QemuLacks> {
  const ask = $({ nothrow: true, readOnly: true })
  const { stdout: help, stderr, exitCode } = await ask`${program} -help`
  if (!/^-m\b/m.test(help)) {
    const said = (stderr || help).trim().split('\n').at(-1)
    throw new HostError(
      `Cannot use ${program}: asked for its options it says ${said ? `"${said}"` : 'nothing'} (status ${exitCode})`,
      {
        hint: 'Another has to come before it in $PATH, or be named by --qemu-binary where there is that option',
      },
    )
  }
  const texts = [await ask`${program} -device ?`, await ask`${program} -device virtio-blk-pci,?`]
  return readQemuFeatures(help, texts.map(({ stdout, stderr }) => stdout + stderr).join('\n'))
}
