/**
 * Programs of another architecture on this machine: QEMU runs them one by one, and the kernel starts it for
 * them (binfmt_misc). Method bootstrap needs that where a new system is not of this machine's kind.
 *
 * A package's set-up registers QEMU with the kernel as a rule, but not in a container or where nothing has
 * mounted the file system by which it is told; then we do. Source: update-binfmts(8), arch-test(1).
 */
import { existsSync } from 'node:fs'
import type { Arch } from '../../distros/distro.ts'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { shellCommand } from '../cli/shell-words.ts'
import { hostArch, QEMU_NAMES } from './arch.ts'
import { ensureTools, findTool, type Tool, tool } from './tools.ts'

const BINFMT = '/proc/sys/fs/binfmt_misc'

/** What tells whether programs of another architecture run here; mmdebstrap asks it, too. */
export const ARCH_TEST = tool('arch-test', 'arch-test', 'tries programs of another architecture')

/** What runs them. */
export const emulatorTools = (arch: Arch): Tool[] => [
  tool(`qemu-${QEMU_NAMES[arch]}-static`, 'qemu-user-static', `runs programs of ${arch}`),
  tool('update-binfmts', 'binfmt-support', `has the kernel start QEMU for programs of ${arch}`),
]

/**
 * For ensureTools(): what is needed to find out; where even that is missing, all of it, so that one command
 * brings it.
 */
export function foreignTools(arch: Arch, find = findTool): Tool[] {
  if (arch === hostArch()) return []
  return [ARCH_TEST, ...(find(ARCH_TEST.name) === undefined ? emulatorTools(arch) : [])]
}

/** Whether this machine runs programs of an architecture, by itself or by QEMU. */
export async function runsPrograms(arch: Arch): Promise<boolean> {
  if (arch === hostArch()) return true
  const { exitCode } = await $({ nothrow: true, readOnly: true })`arch-test ${arch}`
  return exitCode === 0
}

/** The command by which an administrator has the kernel start QEMU; it mounts what it needs. */
export const enableWords = (arch: Arch) => [
  'update-binfmts',
  '--enable',
  `qemu-${QEMU_NAMES[arch]}`,
]

/**
 * See to it that this machine runs programs of an architecture. As root, and unless `install` says no, what
 * is missing is installed, mounted and enabled; like a package, it stays.
 *
 * @throws {HostError} with the one command that does it, when it can't be done from here
 */
export async function ensureForeign(
  arch: Arch,
  ensure: { install: boolean; root?: boolean },
): Promise<void> {
  const { install, root = process.getuid?.() === 0 } = ensure
  if (await runsPrograms(arch)) return
  await ensureTools(emulatorTools(arch), ensure)
  if (!session.dryRun && (await runsPrograms(arch))) return
  const command = enableWords(arch)
  if (!session.dryRun && !(install && root)) {
    throw new HostError(
      `This machine does not run programs of ${arch}: its kernel has no handler`,
      {
        hint: `Run: ${root ? '' : 'sudo '}${shellCommand({ words: command })}`,
      },
    )
  }
  const mount = ['mount', '-t', 'binfmt_misc', 'binfmt_misc', BINFMT]
  const commands = [...(existsSync(`${BINFMT}/register`) ? [] : [mount]), command]
  const says = commands.map((words) => shellCommand({ words })).join('; ')
  log.info(`Having this machine run programs of ${arch}, which stays so: ${says}`)
  const failed: string[] = []
  for (const words of commands) {
    const { exitCode, stderr } = await $({ nothrow: true })`${words}`
    if (exitCode !== 0) failed.push(`${words[0]} says "${stderr.trim().split('\n').at(-1)}"`)
  }
  if (session.dryRun || (await runsPrograms(arch))) return
  throw new HostError(
    `This machine does not run programs of ${arch}: ${failed.join('; ') || `the handler ${command.at(-1)} does not work`}`,
    { hint: `In a container, its host has to run: ${shellCommand({ words: command })}` },
  )
}
