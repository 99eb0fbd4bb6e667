/** Tests an image as it would be published: the file beside its manifest, restored and booted. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { step, timings } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import type { Accelerator, AcceleratorChoice } from '../host/accelerator.ts'
import { firmwareTool, needFirmware } from '../host/firmware.ts'
import { chooseQemu } from '../host/hypervisor.ts'
import { ensureTools, MACHINE_TOOLS } from '../host/tools.ts'
import { hardware, type HardwareName } from '../machine/hardware.ts'
import type { CheckResult, FirmwareName, FurtherBoot } from '../triton/boot-phases.ts'
import { bootTest, type BootTestResult } from '../triton/boot-test.ts'
import { type Inspection, inspectMatched, MANIFEST, matchManifest } from './inspect.ts'
import { checkWritable } from './output-dir.ts'

export type TestOptions = {
  /** Undefined: those that the image is for. */
  firmware: readonly FirmwareName[] | undefined
  hardware: HardwareName
  accel: AcceleratorChoice
  /** Undefined: two, where the host has them to give. */
  cpus: number | undefined
  memoryMiB: number
  limit: number | undefined
  /** Directory of the report; undefined: the manifest's. */
  output: string | undefined
  install: boolean
}

/** A tested image; what report files are made of. */
export type ImageTest = {
  image: Inspection
  startedAt: Date
  seconds: number
  accelerator: string
  hardware: HardwareName
  runs: (BootTestResult & { serialLog: string; screenshot: string })[]
  timings: typeof timings
}

/** Every check of all machines. */
export const resultsOf = (test: ImageTest): CheckResult[] =>
  test.runs.flatMap(({ results }) => results)

/** Where the report files go: the manifest's path without its ending. */
export function reportBase(manifest: string, output: string | undefined): string {
  return join(output ?? dirname(manifest), basename(manifest).replace(MANIFEST, ''))
}

/**
 * Restore and boot the image of a manifest, and check it. Failed checks are in the result.
 *
 * @throws {BuildError} when image and manifest do not belong together or can't be read
 * @throws {HostError} when this machine can't run it
 */
export async function testImage(
  manifest: string,
  options: TestOptions,
  scope: Scope,
): Promise<ImageTest> {
  if (!MANIFEST.test(manifest)) {
    throw new BuildError(`Cannot test "${manifest}": it is no manifest`, {
      hint: 'Name the .imgmanifest file; the image lies beside it',
    })
  }
  const startedAt = new Date()
  const base = reportBase(manifest, options.output)
  await checkWritable(dirname(base))
  // A wrong argument is no reason to install anything.
  const matched = await step('Check the image', () => matchManifest(manifest))
  const only = matched.manifest!.firmware
  const firmwares = options.firmware ?? (only ? [only] : (['bios', 'uefi'] as const))
  const hypervisor = await step('Check the host', async () => {
    const { family } = hardware[options.hardware]
    const uefi = firmwares.includes('uefi')
    const tools = [...Object.values(MACHINE_TOOLS), ...(uefi ? [firmwareTool(family)] : [])]
    await ensureTools(tools, { install: options.install })
    if (uefi) needFirmware(family)
    const { cpu } = matched.manifest!
    return chooseQemu({ accel: options.accel, qemu: undefined, cpu })
  })
  const { accelerator } = hypervisor
  const work = await scope.tempDir('test-image')
  const disk = join(work, 'disk.raw')
  const image = await step('Restore the image', () =>
    inspectMatched(matched, { disk, signal: stopSignal() }),
  )
  if (image.problems.length > 0) {
    throw new BuildError(`Image does not match its manifest: ${image.problems.join('; ')}`)
  }
  const { name, version, defaultUser } = image.manifest!
  const runs = firmwares.map((firmware, i) => async (onPhase: (phase: string) => void) => {
    const own = join(work, firmware)
    const files = { serialLog: join(own, 'serial.log'), screenshot: join(own, 'screen.png') }
    await mkdir(own)
    const result = await bootTest(
      {
        image: { name, version, disk, volumeBytes: image.stream.volumeBytes, user: defaultUser },
        firmware,
        hardware: options.hardware,
        hypervisor,
        memoryMiB: options.memoryMiB,
        cpus: options.cpus ?? cpusFor(accelerator, firmwares.length),
        boots: furtherBoots(i, firmwares.length, accelerator),
        work: own,
        ...files,
        limit: options.limit,
        onResult: (one) => resultLines(one).forEach(log.info),
        onPhase,
      },
      scope,
    )
    return { ...result, ...files }
  })
  const done = await step(`Boot and check (${firmwares.join(', ')})`, (report) =>
    inParallel(runs, availableParallelism(), (phases) => report(undefined, phases)),
  )
  return {
    image,
    startedAt,
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    accelerator: accelerator.name,
    hardware: options.hardware,
    runs: done,
    timings,
  }
}

/**
 * What a machine does after its first boot: all of it, where it costs seconds. Emulated, a boot takes
 * minutes, and two machines share the rest: it does not depend on the firmware.
 */
function furtherBoots(machine: number, machines: number, { name }: Accelerator): FurtherBoot[] {
  if (name === 'kvm' || machines === 1) return ['reboot', 'second generation']
  return [machine === 0 ? 'second generation' : 'reboot']
}

/**
 * Processors for each of some machines. Emulated ones that have to share cores wait for each other's
 * locks: then fewer are faster.
 */
function cpusFor({ name }: Accelerator, machines: number): number {
  if (name === 'kvm') return 2
  return Math.max(1, Math.min(2, Math.floor(availableParallelism() / machines)))
}

/** Run machines side by side, as many as there are cores; the first error ends them all. */
async function inParallel<T>(
  runs: ((onPhase: (phase: string) => void) => Promise<T>)[],
  atOnce: number,
  report: (phases: string) => void,
): Promise<T[]> {
  const results: T[] = []
  const phases = runs.map(() => '')
  const waiting = runs.map((run, i) => ({ run, i }))
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { run, i } = next
      results[i] = await run((phase) => {
        phases[i] = phase
        report(phases.filter(Boolean).join(' | '))
      })
      phases[i] = ''
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, runs.length) }, worker))
  return results
}

/** A check's line and, for a phase that failed, what was last on the console. */
export function resultLines(result: CheckResult): string[] {
  return [resultLine(result), ...(result.console ?? []).map((line) => `      | ${line}`)]
}

/** The result of one check as a line: `ok    bios  first boot: host name …  0.1 s  hostname is web-1`. */
export function resultLine(result: CheckResult): string {
  const { firmware, boot, title, status, evidence, seconds } = result
  const word = { ok: 'ok', failed: 'FAIL', 'not reached': '-' }[status]
  const time = status === 'not reached' ? 'not reached' : `${seconds.toFixed(1)} s`
  return [word.padEnd(4), firmware, `${boot}: ${title}`, time, evidence].filter(Boolean).join('  ')
}
