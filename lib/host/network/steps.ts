/**
 * What is missing of the build network, or left of it, as commands in the order in which they are done; pure.
 * Sources: dladm(8), svccfg(8), svcadm(8).
 */
import { shellCommand } from '../../cli/shell-words.ts'
import { asRoot } from '../privileges.ts'
import {
  type BuildNetwork,
  type FileName,
  FILES,
  FORWARDING_NOTE,
  INSTANCE,
  isOurs,
  methodScript,
  NETWORK_DIR,
  pathOf,
  RUN_DIR,
  SERVICE,
} from './files.ts'
import { ETHERSTUB, GATEWAY_VNIC, isBuildVnic } from './slots.ts'
import { isUp, type NetworkState } from './state.ts'

/** A step: what for, and the words of its command, with what it reads. */
export type NetworkStep = { why: string; words: string[]; input?: string }

const METHOD = 'network.sh'

/** Written beside it and renamed, so that a file is whole or not there. */
function writeSteps(name: string, text: string): NetworkStep[] {
  const partial = `${pathOf(name)}.${process.pid}.partial`
  return [
    { why: name, words: asRoot('tee', partial), input: text },
    { why: `${name} is whole`, words: asRoot('mv', partial, pathOf(name)) },
  ]
}

/** Steps that set the network up. */
export function setUpSteps(
  state: NetworkState,
  network: BuildNetwork,
  wanted: Record<FileName, string>,
): NetworkStep[] {
  const changed = FILES.filter((name) => state.files.get(name) !== wanted[name])
  const { service } = state
  if (changed.length === 0 && isUp(state, network)) return []
  const running = service !== undefined && service !== 'disabled'
  return [
    ...(running
      ? [{ why: 'what it made is taken away', words: asRoot('svcadm', 'disable', '-s', INSTANCE) }]
      : []),
    ...(state.files.size === 0
      ? [{ why: 'a place for our files', words: asRoot('mkdir', '-p', NETWORK_DIR) }]
      : []),
    ...changed.flatMap((name) => writeSteps(name, wanted[name])),
    // Also when it is known: whether this very manifest was read is not to be seen.
    { why: 'SMF knows it', words: asRoot('svccfg', 'import', pathOf('manifest.xml')) },
    {
      why: 'links and dhcpd, now and after a reboot',
      words: asRoot('svcadm', 'enable', '-s', INSTANCE),
    },
  ]
}

/** Steps that take the network down. What is somebody's is neither run nor removed. */
export function teardownSteps(state: NetworkState): NetworkStep[] {
  const { service, vnics, etherstubs, files } = state
  const builds = vnics.filter(({ link, over }) => over === ETHERSTUB && isBuildVnic(link))
  const left =
    files.has(FORWARDING_NOTE) ||
    etherstubs.includes(ETHERSTUB) ||
    vnics.some(({ link, over }) => link === GATEWAY_VNIC && over === ETHERSTUB)
  const enabled = service !== undefined && service !== 'disabled'
  // SMF runs the method of a service that works; otherwise what is left is ours to stop.
  const stopped = service === 'online' || service === 'degraded'
  const foreign = [...files].filter((file) => !isOurs(...file)).map(([name]) => name)
  const lacksMethod = (left || enabled) && !files.has(METHOD)
  const ours = [...files.keys()].filter((name) => !foreign.includes(name) && name !== METHOD)
  const method = lacksMethod || (files.has(METHOD) && !foreign.includes(METHOD)) ? [METHOD] : []
  const removed = [...ours, ...method] // the method last, as it may be needed until then
  return [
    ...builds.map(({ link }) => ({
      why: "a build's",
      words: asRoot('dladm', 'delete-vnic', '-t', link),
    })),
    ...(lacksMethod
      ? [
          { why: 'a place for it', words: asRoot('mkdir', '-p', NETWORK_DIR) },
          ...writeSteps(METHOD, methodScript()),
        ]
      : []),
    ...(enabled ? [{ why: 'it stops', words: asRoot('svcadm', 'disable', '-s', INSTANCE) }] : []),
    ...(left && !stopped && method.length > 0
      ? [{ why: 'what it left', words: asRoot('sh', pathOf(METHOD), 'stop') }]
      : []),
    ...(service === undefined
      ? []
      : [{ why: 'SMF forgets it', words: asRoot('svccfg', 'delete', '-f', SERVICE) }]),
    ...(removed.length > 0
      ? [{ why: 'our files', words: asRoot('rm', '-rf', RUN_DIR, ...removed.map(pathOf)) }]
      : []),
    ...(removed.length > 0 && foreign.length === 0
      ? [{ why: 'and their place', words: asRoot('rmdir', NETWORK_DIR) }]
      : []),
  ]
}

/** A step as an operator would type it. */
export const stepLine = ({ words, input }: NetworkStep) =>
  shellCommand({ words, ...(input !== undefined && { input }) })
