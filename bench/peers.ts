/**
 * A whole build of Debian 12 against other builders from Debian's packages, in alternation: the same packages from
 * the same mirror onto the same file system, each to a disk of 10 GiB.
 *
 *   node lib/cli/launcher.js bench/peers.ts [--rounds 3] [mkosi|vmdb2|debos|fai-diskimage ...]
 *
 * Ours is the whole command, with a warm cache of packages, to the compressed image with digests and manifest. Theirs
 * end with a raw disk, and mkosi alone has a cache of packages: both their own seconds are told, and those of the same
 * job, with pigz at its usual level and sha1sum behind them. Ours and mkosi's have the suites of updates and of
 * security too; the others take packages of the same names from the main suite. What they lack of it is said in the table. As root,
 * in a mount name space of its own: two of them run systemd-nspawn, which wants a tmpfs at /run. The programs in
 * stand-ins/ come first in their $PATH; what each is for is said in it.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { debian } from '../distros/debian.ts'
import { findRelease } from '../distros/distro.ts'
import { shellWord } from '../lib/cli/shell-words.ts'
import { command, machineMirrors, needPackages, workDir } from '../test/live.ts'
import { type DiskFacts, diskFacts } from './disk-facts.ts'
import { type Measured, measure, median, table } from './measure.ts'
import { debos } from './peers/debos.ts'
import { fai } from './peers/fai.ts'
import { mkosi } from './peers/mkosi.ts'
import type { Job, Peer } from './peers/peer.ts'
import { vmdb2 } from './peers/vmdb2.ts'

const ALL = [mkosi, vmdb2, debos, fai]
/** Words that make our build a cold one: nothing that an earlier build left behind but packages. */
const COLD = ['--fresh']
const GIB = 10
const OURS = 'create-image-debian'
/** Who waits for a device that does not come is stopped. */
const LIMIT_SECONDS = 1800

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '3' } },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !ALL.some((peer) => peer.name === name))
if (unknown.length > 0) throw new Error(`No such peer: ${unknown.join(', ')}`)
const peers = ALL.filter(({ name }) => positionals.length === 0 || positionals.includes(name))

needPackages(
  Object.assign(
    { mmdebstrap: 'mmdebstrap', debugfs: 'e2fsprogs', sfdisk: 'fdisk', pigz: 'pigz' },
    ...peers.map(({ needs }) => needs),
  ),
)
const release = findRelease(debian, '12')!
const mirrors = machineMirrors()
if (mirrors[1] === undefined) throw new Error('This machine has no mirror in its apt sources')
const { dir, remove } = await workDir()
const standIns = fileURLToPath(new URL('stand-ins', import.meta.url))

type Run = Measured & {
  facts: DiskFacts
  /** Bytes of what is shipped, compressed. */
  delivered: number
  /** To that, from the start. */
  shipped: number
}

/** @throws {Error} with the end of what it printed */
async function timed(name: string, script: string): Promise<Measured> {
  const log = join(dir, `${name}.log`)
  const measured = await measure(`{ ${script}\n} >${log} 2>&1`)
  if (measured.status === 0) return measured
  const said = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-15).join('\n')
  throw new Error(`${name} ended with status ${measured.status}:\n${said}`)
}

async function runPeer(peer: Peer): Promise<Run> {
  const job: Job = {
    dir: join(dir, peer.name),
    cache: join(dir, `${peer.name}-cache`),
    codename: release.codename,
    mirror: mirrors[1]!,
    packages: [release.kernel, ...debian.packages, ...release.packages],
    gib: GIB,
  }
  const { files, command: words, disk } = peer.prepare(job)
  await mkdir(job.dir, { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(join(job.dir, file), text)
  const script = [
    'set -e; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd /run/lock',
    `export PATH=${standIns}:$PATH`,
    words,
  ].join('\n')
  try {
    const measured = await timed(
      peer.name,
      `timeout -k 30 ${LIMIT_SECONDS} unshare --mount bash -c ${shellWord(script)}`,
    )
    const packed = join(dir, `${peer.name}.gz`)
    const packing = await timed('pigz', `pigz <${disk} >${packed} && sha1sum ${packed}`)
    const { size } = await stat(packed)
    await rm(packed)
    const shipped = measured.seconds + packing.seconds
    return { ...measured, facts: diskFacts(disk), delivered: size, shipped }
  } finally {
    await rm(job.dir, { recursive: true, force: true })
  }
}

async function runOurs(): Promise<Run> {
  const output = join(dir, 'ours')
  const words = ['12', '--size', `${GIB}G`, '--output', output, '--cache', join(dir, 'ours-cache')]
  const all = [command(OURS), ...words, ...mirrors, ...COLD].map(shellWord).join(' ')
  const manifest = join(dir, 'ours.manifest')
  try {
    const measured = await timed(OURS, `${all} >${manifest}`)
    const image = (await readFile(manifest, 'utf8')).trim().replace(/imgmanifest$/, 'zfs.gz')
    const raw = join(dir, 'ours.raw')
    await timed('convert-image', `${command('convert-image')} ${image} ${raw}`)
    const facts = diskFacts(raw)
    await rm(raw)
    const { size } = await stat(image)
    return { ...measured, facts, delivered: size, shipped: measured.seconds }
  } finally {
    await rm(output, { recursive: true, force: true })
  }
}

/** @throws {Error} when it is no bootable system with the same packages */
function checkFacts(name: string, facts: DiskFacts, ours: DiskFacts, bootLoader: boolean): string {
  if (facts.kernels.length !== 1 || facts.initramfs.length !== 1) {
    throw new Error(`${name}: one kernel with its initramfs was expected: ${JSON.stringify(facts)}`)
  }
  if (bootLoader && !facts.bootCode) throw new Error(`${name}: no boot loader in the first sector`)
  const missing = ours.packages.filter((one) => !facts.packages.includes(one))
  const more = facts.packages.filter((one) => !ours.packages.includes(one))
  const list = (names: string[]) => (names.length > 6 ? `${names.length}` : names.join(' '))
  return [
    `${facts.label}, ${facts.partitions} partitions, ${facts.packages.length} packages`,
    ...(missing.length > 0 ? [`without ${list(missing)}`] : []),
    ...(more.length > 0 ? [`and also ${list(more)}`] : []),
  ].join(', ')
}

const runs = new Map<string, Run[]>()
const failed: string[] = []
try {
  // Round 0 warms the caches of those that have one, and tells who works here at all.
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const name of [OURS, ...peers.map((peer) => peer.name)]) {
      const peer = peers.find((one) => one.name === name)
      if (failed.includes(name) || (round === 0 && peer?.hasCache === false)) continue
      try {
        const run = await (peer ? runPeer(peer) : runOurs())
        console.error(
          `round ${round}: ${name} ${run.seconds.toFixed(1)} s, shipped ${run.shipped.toFixed(1)} s`,
        )
        if (round > 0) runs.set(name, [...(runs.get(name) ?? []), run])
      } catch (error) {
        if (!peer) throw error
        failed.push(name)
        console.log(`${name} does not work on this machine: ${(error as Error).message}\n`)
      }
    }
  }
  const middle = (name: string, of: (run: Run) => number) => median(runs.get(name)!.map(of))
  const wall = (name: string) => middle(name, ({ seconds }) => seconds)
  const shipped = (name: string) => middle(name, (run) => run.shipped)
  const theirs = [...runs.keys()].filter((name) => name !== OURS).sort((a, b) => wall(a) - wall(b))
  /** Ours to the least of theirs: what is asked of it is at most 0.6. */
  const ratio = (of: (name: string) => number) =>
    theirs.length > 0 ? (of(OURS) / Math.min(...theirs.map(of))).toFixed(2) : '-'
  const ours = runs.get(OURS)![0]!.facts
  console.log(
    table([
      ['', 'its own end, s', 'least', 'most', 'CPU s', 'compressed, s', 'MiB'],
      ...[OURS, ...theirs].map((name) => {
        const all = runs.get(name)!.map(({ seconds }) => seconds)
        return [
          name,
          wall(name).toFixed(1),
          Math.min(...all).toFixed(1),
          Math.max(...all).toFixed(1),
          middle(name, ({ cpuSeconds }) => cpuSeconds).toFixed(1),
          shipped(name).toFixed(1),
          (middle(name, ({ delivered }) => delivered) / 1024 ** 2).toFixed(0),
        ]
      }),
    ]),
  )
  console.log(
    `\nOurs to the fastest of theirs: ${ratio(shipped)} for the same job, a compressed image with its digest; ` +
      `${ratio(wall)} of their raw disk alone.`,
  )
  console.log(`Medians of ${values.rounds} rounds in alternation. What each made:`)
  console.log(`  ${OURS}: ${checkFacts(OURS, ours, ours, true)}`)
  for (const name of theirs) {
    const { note, bootLoader, hasCache } = peers.find((peer) => peer.name === name)!
    const what = checkFacts(name, runs.get(name)![0]!.facts, ours, bootLoader)
    console.log(`  ${name}: ${what} (${note}; ${hasCache ? 'warm' : 'no'} package cache)`)
  }
} finally {
  await remove()
}
