/** Architectures as this machine's programs call them, and which is its own. */
import type { Arch } from '../../distros/distro.ts'

/** Names of QEMU's programs: `qemu-system-aarch64`, and those that run single programs. */
export const QEMU_NAMES: Readonly<Record<Arch, string>> = { amd64: 'x86_64', arm64: 'aarch64' }

const NODE_NAMES: Readonly<Record<string, Arch>> = { x64: 'amd64', arm64: 'arm64' }

/** This machine's own; undefined: none that images are built for. */
export const hostArch = (): Arch | undefined => NODE_NAMES[process.arch]
