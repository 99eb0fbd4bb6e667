/** QEMU's program, which has several names. */
import { HostError } from '../cli/errors.ts'
import { findTool } from './tools.ts'

/** In this order: the usual one, Enterprise Linux', SmartOS' global zone's. */
const NAMES = [
  'qemu-system-x86_64',
  '/usr/libexec/qemu-kvm',
  '/smartdc/bin/qemu-system-x86_64',
] as const

/**
 * Where QEMU is, or undefined when it has to be installed.
 *
 * @param given name or path that the operator wants
 * @throws {HostError} when that one is not there
 */
export function findQemu(
  given?: string,
  find: (name: string) => string | undefined = findTool,
): string | undefined {
  if (given === undefined) return NAMES.map((name) => find(name)).find(Boolean)
  const found = find(given)
  if (found !== undefined) return found
  throw new HostError(`Cannot find QEMU as "${given}"`, {
    hint: 'Name a program in $PATH or an absolute path, or leave --qemu-binary out',
  })
}
