/** Releases of Node beside the one that runs the tests, as npm has them. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * Bring one.
 *
 * @param dir where it goes, below a directory of its own
 * @returns $PATH with it in front
 */
export function pathWithNode(release: number, dir: string): string {
  const prefix = join(dir, `node-${release}`)
  const name = `node-${process.platform}-${process.arch}`
  const words = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', '--prefix', prefix, ...words, `${name}@${release}`], {
    cwd: dir,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return `${join(prefix, 'node_modules', name, 'bin')}:${process.env['PATH']}`
}
