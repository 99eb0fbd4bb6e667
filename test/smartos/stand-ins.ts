/**
 * Programs of SmartOS, for tests: small scripts that keep their state in a directory, refuse what the real
 * ones refuse, and print in their formats. That the real ones do as they do is not shown by them.
 */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A directory for $PATH with these programs, and nothing else but Node. */
export async function standIns(
  dir: string,
  programs: Readonly<Record<string, string>>,
): Promise<string> {
  const bin = join(dir, 'bin')
  await mkdir(bin, { recursive: true })
  for (const [name, path] of [
    ['node', process.execPath],
    ['env', '/usr/bin/env'],
    ['bash', '/bin/bash'],
    ['sh', '/bin/sh'],
  ] as const) {
    await symlink(path, join(bin, name))
  }
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}
