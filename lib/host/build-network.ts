/**
 * The network that machines of bhyve are on, in a build zone of SmartOS: a switch of its own, addresses by
 * DHCP, and a way out by NAT. What is there is read, what is missing is a plan of commands, and only that
 * is done. Interrupted anywhere, it is completed by the next run. A service of SMF makes the links, which
 * a reboot takes away, see network/network.sh.
 *
 * The set-up is the one that triton-cloud-images tells operators to make by hand.
 */
import { BuildError, HostError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import { withLock } from './lock.ts'
import {
  type BuildNetwork,
  DEFAULTS,
  INSTANCE,
  networkFiles,
  readNetwork,
  readNetworkFiles,
} from './network/files.ts'
import { needNetwork, needPrivileges, needZone, readNameservers } from './network/needs.ts'
import { readOwners } from './network/owners.ts'
import { isUp, readNetworkState, readService, serviceReason } from './network/state.ts'
import { type NetworkStep, setUpSteps, teardownSteps } from './network/steps.ts'
import { readSubnet } from './network/subnet.ts'

export { DEFAULTS } from './network/files.ts'
export { type BuildLink, takeBuildLink } from './network/link.ts'

/** What is asked for; otherwise it is as it is, or as the defaults are. */
export type NetworkWishes = Partial<BuildNetwork>

export type NetworkPlan = {
  steps: NetworkStep[]
  /** Builds that the steps would cut off from their network. */
  disturbed: string[]
}

async function liveBuilds(): Promise<string[]> {
  const alive = (await readOwners()).filter((owner) => owner.alive)
  return alive.map(({ vnic, pid }) => `${vnic} (process ${pid})`)
}

/**
 * What is missing, in the order in which it is done.
 *
 * @throws {HostError} when the zone can't have a build network, or its service needs an operator
 */
export async function planBuildNetwork(wishes: NetworkWishes): Promise<NetworkPlan> {
  await needZone()
  const state = await readNetworkState()
  const present = readNetwork(state.files)
  const network = {
    subnet: wishes.subnet ?? present?.subnet ?? readSubnet(DEFAULTS.subnet)!,
    uplink: wishes.uplink ?? present?.uplink ?? DEFAULTS.uplink,
  }
  await needNetwork(network, state)
  if (state.service === 'maintenance') throw await needsOperator()
  const steps = setUpSteps(state, network, networkFiles(network, await readNameservers()))
  const cut = steps.length > 0 && state.service === 'online'
  return { steps, disturbed: cut ? await liveBuilds() : [] }
}

async function needsOperator(): Promise<HostError> {
  const { reason, log } = await serviceReason()
  return new HostError(`The build network's service is in maintenance: ${reason}`, {
    hint: `See the end of ${log}, mend it, then: svcadm clear ${INSTANCE}`,
  })
}

/** @throws {HostError} outside a zone of SmartOS, or without privileges */
export async function planTeardown(): Promise<NetworkPlan> {
  await needZone()
  await needPrivileges()
  const steps = teardownSteps(await readNetworkState())
  return { steps, disturbed: steps.length > 0 ? await liveBuilds() : [] }
}

/** Do the steps, in order. @throws {BuildError} with the failed command's own words */
export async function followNetworkPlan(
  { steps }: NetworkPlan,
  onStep: (step: NetworkStep) => void = () => {},
): Promise<void> {
  for (const step of steps) {
    onStep(step)
    const { words, input } = step
    try {
      await (input === undefined ? $`${words}` : $({ input })`${words}`)
    } catch (error) {
      throw words.includes('svcadm') ? await serviceFailure(error) : error
    }
  }
}

/** svcadm says that a service did not come; svcs says why. */
async function serviceFailure(error: unknown): Promise<unknown> {
  const service = await readService()
  if (service === undefined || service === 'online' || service === 'disabled') return error
  if (service === 'maintenance') return needsOperator()
  const { reason, log } = await serviceReason()
  return new BuildError(`The build network's service is ${service}: ${reason}`, {
    hint: `See ${log}`,
    cause: error,
  })
}

/** Of the zone, whoever builds in it. */
const LOCK = '/var/tmp/hybrid-images-network'

/**
 * The network is there, by what was there or by setting it up as setup-build-network does. One build at a time does it:
 * two would take each other's half-written files away.
 *
 * @throws {HostError} with what stands in the way
 */
export async function ensureBuildNetwork(): Promise<void> {
  if (await isReady()) return
  await changeAlone(makeReady)
}

/** Look and change while nobody else of this zone does. */
export async function changeAlone<T>(work: () => Promise<T>): Promise<T> {
  return session.dryRun ? work() : withLock(LOCK, work, 'changing the build network')
}

async function makeReady(): Promise<void> {
  if (await isReady()) return // another build was faster
  const plan = await planBuildNetwork({})
  if (plan.disturbed.length > 0) throw busy(plan)
  await followNetworkPlan(plan)
}

async function isReady(): Promise<boolean> {
  const network = readNetwork(await readNetworkFiles())
  return network !== undefined && isUp(await readNetworkState(), network)
}

/** What to say when builds would lose their network. */
export function busy({ disturbed }: NetworkPlan): HostError {
  return new HostError(`Builds are on the build network: ${disturbed.join(', ')}`, {
    hint: 'Wait until they have ended, or run ./bin/setup-build-network with --yes',
  })
}
