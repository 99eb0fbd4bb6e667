/**
 * A whole build, cold and warm package cache, against plain mmdebstrap making a tarball of the same
 * packages in the same run: what is on top is ours.
 *
 *   node lib/cli/launcher.js bench/build.ts [12]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../distros/debian.ts'
import { findRelease } from '../distros/distro.ts'
import { command, machineMirrors, needPackages, workDir } from '../test/live.ts'
import { measure, table } from './measure.ts'
import { plainMmdebstrap } from './plain.ts'

needPackages({ mmdebstrap: 'mmdebstrap' })
const release = findRelease(debian, process.argv[2] ?? '12')!
const { dir, remove } = await workDir()
const mirrors = machineMirrors()
/** Steps and seconds of a build, from its JSON. */
async function build(name: string) {
  const output = join(dir, `${name}.json`)
  const words = [
    release.version,
    '--json',
    '--fresh',
    '--output',
    join(dir, name),
    '--cache',
    join(dir, 'cache'),
  ]
  const script = `exec ${command('create-image-debian')} ${[...words, ...mirrors].join(' ')} 2>/dev/null`
  const measured = await measure(script, output)
  if (measured.status !== 0) throw new Error(`The build ended with status ${measured.status}`)
  const { timings } = JSON.parse(await readFile(output, 'utf8')) as {
    timings: { step: string; seconds: number; cpuSeconds: number }[]
  }
  return { ...measured, timings }
}

try {
  const plain = async () => {
    const words = plainMmdebstrap(release, join(dir, 'plain.tar'))
    const measured = await measure(`exec ${words} 2>/dev/null`)
    if (measured.status !== 0) throw new Error(`mmdebstrap ended with status ${measured.status}`)
    return measured
  }
  const rows: [string, { seconds: number; cpuSeconds: number }][] = []
  const before = await plain()
  rows.push(['mmdebstrap to a tarball', before])
  for (const name of ['cold', 'warm']) {
    const built = await build(name)
    rows.push([`create-image-debian, ${name} cache`, built])
    rows.push(...built.timings.map((one): (typeof rows)[0] => [`  ${one.step}`, one]))
  }
  const after = await plain()
  rows.push(['mmdebstrap to a tarball, again', after])
  const peer = (before.seconds + after.seconds) / 2
  console.log(
    table([
      ['', 'wall s', 'CPU s', 'to mmdebstrap'],
      ...rows.map(([name, { seconds, cpuSeconds }]) => [
        name,
        seconds.toFixed(1),
        cpuSeconds.toFixed(1),
        (seconds / peer).toFixed(2),
      ]),
    ]),
  )
} finally {
  await remove()
}
