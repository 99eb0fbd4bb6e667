/** gitlab-ci-local, which reads .gitlab-ci.yml with GitLab's schema, evaluates its rules, and runs its jobs. */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../live.ts'

/** It uses one thing that Node has from version 22 on. */
const UNION =
  'Set.prototype.union ??= function (other) { return new Set([...this, ...other.keys()]) }\n'

/** Run it in `dir`, a git repository with the file. */
export async function gitlabCiLocal(dir: string, ...words: string[]) {
  const older = join(dir, '..', 'union.mjs')
  await writeFile(older, UNION)
  const program = join(root, 'node_modules/gitlab-ci-local/dist/index.js')
  return spawnSync(process.execPath, ['--import', older, program, ...words], {
    cwd: dir,
    encoding: 'utf8',
    env: { ...process.env, HOME: dir },
  })
}

/** The jobs of a pipeline and when they run, as `build: [debian-12] manual`. */
export async function jobsOf(dir: string, variables: Record<string, string>): Promise<string[]> {
  const given = Object.entries(variables).flatMap(([name, value]) => [
    '--variable',
    `${name}=${value}`,
  ])
  const { stdout, stderr, status } = await gitlabCiLocal(dir, '--list-csv', ...given)
  if (status !== 0) throw new Error(`Cannot read .gitlab-ci.yml: ${stderr}${stdout}`)
  const rows = stdout.split('\n').map((line) => line.split(';'))
  return rows
    .slice(rows.findIndex(([name]) => name === 'name') + 1)
    .filter((row) => row.length > 2)
    .map(([name, , when]) => `${name!.replaceAll('"', '')} ${when}`)
}
