/** Root, or what stands for it on SmartOS. */
import { $ } from '../cli/run.ts'

/** A command that needs root: an ordinary user runs it with pfexec. */
export const asRoot = (...words: string[]) => [
  ...(process.getuid?.() === 0 ? [] : ['pfexec']),
  ...words,
]

/** How this user can do what root can; undefined: not at all. */
export async function readPrivileges(): Promise<'root' | 'pfexec' | undefined> {
  if (process.getuid?.() === 0) return 'root'
  const { stdout } = await $({ nothrow: true, readOnly: true })`profiles`
  return /^\s*Primary Administrator\s*$/m.test(stdout) ? 'pfexec' : undefined
}

/** What gives an ordinary user these privileges. */
export const privilegesFix = () =>
  `As root: usermod -P 'Primary Administrator' ${process.env['USER'] ?? 'USER'}`
