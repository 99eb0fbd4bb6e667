/**
 * Test an image before it is published: boot it as an instance of a simulated Triton, and check it.
 *
 *   ./bin/test-image bits/debian-12/.../debian-12-20260508.imgmanifest
 *
 * Prints the path of the report. Exits 1 when a check failed.
 */
import { BuildError } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions, parseCount, parseSize } from '../lib/cli/options.ts'
import { ACCELERATORS } from '../lib/host/accelerator.ts'
import { writeReports } from '../lib/image/test-report.ts'
import { recordTest } from '../lib/image/test-record.ts'
import { resultsOf, testImage } from '../lib/image/test-image.ts'
import { HARDWARE } from '../lib/machine/hardware.ts'

const command = {
  name: 'test-image',
  summary:
    'Boot an image as an instance of a simulated Triton, and check it from outside and inside.',
  words: ['MANIFEST'],
  details: [
    'The image lies beside the manifest; it is restored from its stream and never written to.',
    'Prints the path of the report, <name>.test.html; <name>.test.xml is for Jenkins (JUnit).',
    'Beside the manifest <name>.test.json says how it went: publish-image looks for that.',
  ],
  options: {
    firmware: {
      arg: 'NAME',
      choices: ['both', 'bios', 'uefi'],
      help: "boot from (default: both, or the one that the manifest's tag names)",
    },
    hardware: {
      arg: 'NAME',
      choices: HARDWARE,
      default: 'kvm',
      help: 'virtio as KVM has it, the slots of bhyve, or ide and e1000',
    },
    accel: {
      arg: 'NAME',
      choices: ACCELERATORS,
      default: 'auto',
      help: 'auto tries whether KVM works and emulates where it does not',
    },
    cpus: {
      arg: 'N',
      parse: parseCount,
      help: 'processors of each machine (default: 2, or 1 when emulated machines share cores)',
    },
    memory: { arg: 'SIZE', default: '1G', parse: parseSize, help: 'memory of each machine' },
    timeout: {
      arg: 'SECONDS',
      parse: parseCount,
      help: 'limit of each phase (default: by accelerator)',
    },
    output: { arg: 'DIR', help: "directory of the report (default: the manifest's)" },
    json: { help: 'print the results as JSON' },
    keep: { help: 'keep disks and keys, for a look' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    './bin/test-image bits/debian-12/*/debian-12-20260508.imgmanifest',
    './bin/test-image my-image.imgmanifest --firmware uefi --hardware bhyve',
    './bin/test-image my-image.imgmanifest --json >result.json',
  ],
} as const

await main(command, async ({ options, words, scope }) => {
  const test = await testImage(
    words[0]!,
    {
      ...options,
      firmware:
        options.firmware === 'both' ? ['bios', 'uefi'] : options.firmware && [options.firmware],
      memoryMiB: options.memory / 1024 ** 2,
      limit: options.timeout,
    },
    scope,
  )
  const report = await writeReports(test, words[0]!, options.output)
  await recordTest(test, words[0]!).catch((error: unknown) => {
    if (!(error instanceof BuildError)) throw error
    log.warn(`${error.message}: publish-image will not know of this test`)
  })
  const results = resultsOf(test)
  const failed = results.filter(({ status }) => status === 'failed')
  const missed = results.filter(({ status }) => status === 'not reached')
  log.info(
    `${results.length} checks: ${results.length - failed.length - missed.length} ok, ${failed.length} failed, ${missed.length} not reached, in ${Math.round(test.seconds)} s`,
  )
  console.log(options.json ? JSON.stringify(report.json, undefined, 2) : report.html)
  if (failed.length > 0) {
    const named = failed.map(({ firmware, boot, name }) => `${name} (${firmware}, ${boot})`)
    throw new BuildError(`Image failed its test: ${named.join(', ')}`, {
      hint: `Report: ${report.html}`,
    })
  }
})
