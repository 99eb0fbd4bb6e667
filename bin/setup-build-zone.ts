/**
 * Prepare a SmartOS zone for building images; run in the global zone.
 *
 *   ./bin/setup-build-zone 3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f
 *   ./bin/setup-build-zone 3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f --hypervisor both --dry-run
 */
import { HostError, UsageError } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { followPlan, needGlobalZone, planBuildZone, stepLine } from '../lib/host/build-zone.ts'

const command = {
  name: 'setup-build-zone',
  summary: 'Prepare a SmartOS zone for building images. Run in the global zone.',
  words: ['UUID'],
  details: [
    'Reads what is there, prints the commands for what is missing, and runs just these: a second run does',
    'nothing, and one that was cut off is completed by the next. The zone is restarted where it has to be.',
  ],
  options: {
    hypervisor: {
      arg: 'NAME',
      choices: ['qemu', 'bhyve', 'both'],
      default: 'qemu',
      help: "what runs the installers' machines",
    },
    retro: { help: 'for build-retro: file systems of platforms can be mounted' },
    yes: { help: 'restart the zone although machines run in it' },
    'dry-run': { help: 'print the commands only' },
    ...commonOptions,
  },
  examples: [
    './bin/setup-build-zone 3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f',
    './bin/setup-build-zone 3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f --hypervisor both --dry-run',
  ],
} as const

await main(command, async ({ options, words }) => {
  const [uuid] = words as [string]
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) {
    throw new UsageError(`Cannot read zone "${uuid}": it is named by its UUID`)
  }
  await needGlobalZone()
  const { hypervisor, retro } = options
  const wishes = { qemu: hypervisor !== 'bhyve', bhyve: hypervisor !== 'qemu', retro }
  const plan = await planBuildZone(uuid, wishes)
  if (plan.steps.length === 0) {
    log.info(`Zone ${uuid} has all that it needs`)
    return
  }
  if (wishes.bhyve) {
    log.warn("bhyve's devices give a zone power over its machine: for trusted tenants only")
  }
  if (options['dry-run']) {
    for (const step of plan.steps) console.log(stepLine(step))
    return
  }
  if (plan.disturbed.length > 0 && !options.yes) {
    throw new HostError(
      `Cannot restart ${uuid}: machines run in it: ${plan.disturbed.join(', ')}`,
      {
        hint: 'Wait until they have ended, or say --yes',
      },
    )
  }
  await followPlan(plan, (step) => log.info(`${stepLine(step)}  # ${step.why}`))
  const left = await planBuildZone(uuid, wishes)
  if (left.steps.length > 0) {
    throw new HostError(
      `Zone ${uuid} still lacks something: ${left.steps.map(stepLine).join('; ')}`,
      {
        hint: 'Run it again; when it says the same, run that command by hand and see what it says',
      },
    )
  }
  log.info(`Zone ${uuid} is ready: zlogin ${uuid}, clone this project there, ./bin/check-host`)
})
