/**
 * Many images at once: which there are, and building them side by side. Each build is a process of its
 * own, the command that an operator would call, so that one that fails stops no other.
 */
import { availableParallelism, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Distro } from '../../distros/distro.ts'
import { BuildError, UsageError } from '../cli/errors.ts'
import { sharedEvents } from '../cli/events.ts'
import { log } from '../cli/log.ts'
import { harmless } from '../cli/harmless.ts'
import { $ } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'

export type FleetRow = {
  /** `rocky-9` */
  name: string
  distro: string
  release: string
  title: string
  method: 'bootstrap' | 'installer'
  endOfLife: string
}

/** Everything that can be built, in order. */
export function fleetOf(distros: readonly Distro[]): FleetRow[] {
  return distros.flatMap((distro) =>
    distro.releases.map(({ version, title, endOfLife }) => ({
      name: `${distro.name}-${version}`,
      distro: distro.name,
      release: version,
      title: title ?? `${distro.title} ${version}`,
      method: distro.bootstrap ? ('bootstrap' as const) : ('installer' as const),
      endOfLife,
    })),
  )
}

/** `rocky-*` and `debian-1?`, as shells read them. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[^*?\w-]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`)
}

/**
 * The rows that are meant: by name, by pattern, or all.
 *
 * @throws {UsageError} for a name or a pattern that means none
 */
export function selectRows(
  rows: readonly FleetRow[],
  names: readonly string[],
  globs: readonly string[],
): FleetRow[] {
  const known = rows.map(({ name }) => name)
  const stray = names.find((name) => !known.includes(name))
  if (stray !== undefined) {
    throw new UsageError(`Unknown image "${stray}": known are ${known.join(', ')}`)
  }
  const patterns = globs.map(globPattern)
  const idle = patterns.findIndex((pattern) => !known.some((name) => pattern.test(name)))
  if (idle >= 0) {
    throw new UsageError(`No image matches "${globs[idle]}": known are ${known.join(', ')}`)
  }
  if (names.length === 0 && patterns.length === 0) return [...rows]
  return rows.filter(
    ({ name }) => names.includes(name) || patterns.some((pattern) => pattern.test(name)),
  )
}

const GIB = 1024 ** 3

/** How many builds this machine bears at once: two cores and 4 GiB each. */
export function defaultJobs(cores = availableParallelism(), memory = totalmem()): number {
  return Math.max(1, Math.min(Math.floor(cores / 2), Math.floor(memory / (4 * GIB))))
}

export type Built = {
  name: string
  status: number
  seconds: number
  /** The manifest's path, where there is one. */
  manifest: string | undefined
  /** Size of the image's file, and the page of the build, where there are any. */
  bytes: number | undefined
  report: string | undefined
  /** Why not, in the build's own words. */
  error: string | undefined
  /** Of its steps, as create-image tells them. */
  timings: { step: string; seconds: number }[]
}

const STEP = /^[A-Z][\w ']+: (failed after )?\d+ s$/
const commandOf = ({ distro }: FleetRow) =>
  fileURLToPath(new URL(`../../bin/create-image-${distro}`, import.meta.url))

/** Build one; what it says is shown step by step, with its name in front. */
async function buildOne(row: FleetRow, words: readonly string[]): Promise<Built> {
  const shared = sharedEvents(row.name)
  const started = performance.now()
  log.info(`${row.name}: started`)
  const { exitCode, stdout, stderr } = await $({
    nothrow: true,
    ...shared.options,
    onLine: (line) => {
      if (STEP.test(line) || line.startsWith('Warning: ')) log.info(`${row.name}: ${line}`)
    },
  })`${commandOf(row)} ${row.release} --json ${shared.words} ${words}`
  const seconds = (performance.now() - started) / 1000
  const error = stderr
    .split('\n')
    .findLast((line) => line.startsWith('Error: '))
    ?.slice(7)
  let result: {
    manifest?: string
    image?: { bytes: number }
    report?: string
    timings?: Built['timings']
  } = {}
  try {
    result = JSON.parse(stdout) as typeof result
  } catch {
    // a build that failed, or a dry run, has nothing to say there
  }
  const ended = exitCode === 0 ? 'done' : `failed: ${error ?? `status ${exitCode}`}`
  log.info(`${row.name}: ${ended} (${Math.round(seconds)} s)`)
  return {
    name: row.name,
    status: exitCode,
    seconds,
    manifest: result.manifest,
    bytes: result.image?.bytes,
    report: result.report,
    error: exitCode === 0 ? undefined : (error ?? `it ended with status ${exitCode}`),
    timings: result.timings ?? [],
  }
}

/**
 * Build rows, some at a time.
 *
 * @param words handed to each build
 */
export async function buildFleet(
  rows: readonly FleetRow[],
  words: readonly string[],
  jobs: number,
): Promise<Built[]> {
  const queue = [...rows.entries()]
  const results: Built[] = []
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      stopSignal().throwIfAborted()
      const [at, row] = next
      results[at] = await buildOne(row, words)
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, rows.length) }, worker))
  return results
}

/** Rows of columns, each as wide as it has to be. */
export function columns(given: readonly (readonly string[])[]): string {
  const rows = given.map((row) => row.map(harmless)) // names come from servers
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What came of all, as a table. @throws {BuildError} when one has failed */
export function checkBuilt(results: readonly Built[]): void {
  const failed = results.filter(({ status }) => status !== 0)
  if (failed.length === 0) return
  throw new BuildError(
    `${failed.length} of ${results.length} builds failed: ${failed.map(({ name }) => name).join(', ')}`,
  )
}
