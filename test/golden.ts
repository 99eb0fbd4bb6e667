/** A golden image for libvirt, with a value of its own for every variable that an instance shows. */
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { machineMirrors, run } from './live.ts'

export type Golden = {
  image: { path: string; bytes: number; sha256: string }
  lock: string
  handOver: string[]
}

/** Build it below a directory. */
export async function buildGolden(dir: string, more: string[] = []): Promise<Golden> {
  const { status, stdout } = await run('create-image-debian', [
    ...['12', '--target', 'libvirt', '--name', 'golden', '--size', '4G', '--json'],
    ...['--var', 'admin_user=ops', '--var', 'route_metric=250', '--var', 'reboot_time=03:30'],
    ...['--var', 'ssh_key_types=ed25519', '--var', 'etckeeper_branch=trunk'],
    ...['--var', 'run_commands=echo once >/etc/run-commands'],
    ...['--output', join(dir, 'bits'), '--cache', join(dir, 'cache'), ...machineMirrors()],
    ...more,
  ])
  assert.is(status, 0)
  return JSON.parse(stdout) as Golden
}
