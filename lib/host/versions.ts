/** Which versions of other programs this machine has, as they say it themselves. */
import { $ } from '../cli/run.ts'
import { findTool, type Tool } from './tools.ts'

/** How they are asked, where it is not by --version. */
const ASK: Record<string, string> = {
  'mkfs.ext4': '-V',
  'mkfs.vfat': '--help',
  'libdeflate-gzip': '-V',
  xorriso: '-version',
}

/** The first number with a point in it, and what belongs to that: `1.47.0`, `7.2.22`, `12.2-rc1`. */
export function versionIn(output: string): string | undefined {
  return /(?<![\w.])v?(\d+(?:\.\d+)+[\w.+~-]*)/.exec(output)?.[1]?.replace(/[.-]+$/, '')
}

/** By path: a program that is put on this machine while a build runs has another one, or is asked then. */
const asked = new Map<string, Promise<string | undefined>>()

async function ask(program: string): Promise<string | undefined> {
  const words = [program, ASK[program] ?? '--version']
  const { stdout, stderr } = await $({ nothrow: true, readOnly: true })`${words}`
  return versionIn(`${stdout}\n${stderr}`)
}

/**
 * The version of a program, asked once in a build: some that are scripts take half a second for the answer.
 *
 * @returns undefined where it isn't on this machine, or does not say
 */
export async function versionOf(program: string): Promise<string | undefined> {
  const path = findTool(program)
  if (path === undefined) return undefined
  const known = asked.get(path)
  if (known) return known
  const answer = ask(program)
  asked.set(path, answer)
  return answer
}

/**
 * Versions by program, sorted; those that do not say theirs are left out, and files that are no programs.
 */
export async function toolVersions(tools: readonly Tool[]): Promise<Record<string, string>> {
  const names = [...new Set(tools.map(({ name }) => name))]
    .filter((name) => !name.startsWith('/'))
    .sort()
  const versions = await Promise.all(
    names.map(async (name) => [name, await versionOf(name)] as const),
  )
  return Object.fromEntries(
    versions.flatMap(([name, version]) => (version === undefined ? [] : [[name, version]])),
  )
}
