/**
 * Set up the network that machines of bhyve are on; run in a build zone of SmartOS.
 *
 *   ./bin/setup-build-network
 *   ./bin/setup-build-network --subnet 10.99.0.0/24 --dry-run
 *   ./bin/setup-build-network --teardown
 */
import { HostError, UsageError } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import {
  busy,
  changeAlone,
  DEFAULTS,
  followNetworkPlan,
  planBuildNetwork,
  planTeardown,
} from '../lib/host/build-network.ts'
import { type NetworkStep, stepLine } from '../lib/host/network/steps.ts'
import { parseSubnet } from '../lib/host/network/subnet.ts'

const command = {
  name: 'setup-build-network',
  summary: 'Set up the network that machines of bhyve are on. Run in a build zone of SmartOS.',
  words: [],
  details: [
    'Reads what is there, prints the commands for what is missing, and runs just these: a second run does',
    'nothing, and one that was cut off is completed by the next. No file of somebody else is changed.',
  ],
  options: {
    subnet: {
      arg: 'SUBNET',
      parse: parseSubnet,
      help: `addresses of this zone and its guests there (default: as it is, or ${DEFAULTS.subnet})`,
    },
    uplink: {
      arg: 'LINK',
      parse: parseLink,
      help: `the zone's interface by which guests get out (default: as it is, or ${DEFAULTS.uplink})`,
    },
    teardown: { help: 'take it down: service, links, NAT, our files' },
    yes: { help: 'although builds are on it' },
    'dry-run': { help: 'print the commands only' },
    ...commonOptions,
  },
  examples: [
    './bin/setup-build-network',
    './bin/setup-build-network --subnet 10.99.0.0/24 --dry-run',
    './bin/setup-build-network --teardown',
  ],
} as const

function parseLink(text: string): string {
  if (/^[a-z][a-z0-9_]*\d$/i.test(text)) return text
  throw new UsageError(`Cannot read interface "${text}": its name is letters and a number, as net0`)
}

/** What is written is not for the screen. */
const shortLine = ({ words, why }: NetworkStep) => `${stepLine({ words, why })}  # ${why}`

await main(command, async ({ options }) => {
  const { subnet, uplink, teardown, yes } = options
  if (teardown && (subnet || uplink)) {
    throw new UsageError('Cannot take --subnet or --uplink with --teardown: all of it goes')
  }
  const wishes = { ...(subnet && { subnet }), ...(uplink !== undefined && { uplink }) }
  const makePlan = () => (teardown ? planTeardown() : planBuildNetwork(wishes))
  await changeAlone(async () => {
    const plan = await makePlan()
    if (plan.steps.length === 0) {
      log.info(`The build network is ${teardown ? 'not there' : 'there'}: nothing to do`)
      return
    }
    if (options['dry-run']) {
      for (const step of plan.steps) console.log(stepLine(step))
      return
    }
    if (plan.disturbed.length > 0 && !yes) throw busy(plan)
    await followNetworkPlan(plan, (step) => log.info(shortLine(step)))
    const left = await makePlan()
    if (left.steps.length > 0) {
      const steps = left.steps.map(shortLine).join('; ')
      throw new HostError(`There is still something to do: ${steps}`, {
        hint: 'Run it again; when it says the same, run that command by hand and see what it says',
      })
    }
    log.info(teardown ? 'The build network is gone' : 'The build network is ready')
  })
})
