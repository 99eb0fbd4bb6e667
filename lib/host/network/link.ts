/**
 * A build's place on the build network: a virtual interface for its guest, and the address that dhcpd gives
 * to it. That the vnic can be made is what says that the place is free; see owners.ts for who has it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError, HostError } from '../../cli/errors.ts'
import { $ } from '../../cli/run.ts'
import type { Scope } from '../../cli/scope.ts'
import { session } from '../../cli/session.ts'
import { asRoot } from '../privileges.ts'
import { DEFAULTS, readNetwork, readNetworkFiles } from './files.ts'
import { forgetOwner, giveBack, inherit, noteOwner, type Owner, readOwners } from './owners.ts'
import { allSlots, ETHERSTUB, gatewayOf, type Slot, SLOTS } from './slots.ts'
import { readVnics } from './state.ts'
import { readSubnet, subnetText } from './subnet.ts'

export type BuildLink = {
  /** What bhyve's network device is given. */
  vnic: string
  mac: string
  /** What the guest gets by DHCP. */
  address: string
  /** Its router, where this zone can be reached too. */
  gateway: string
  /** As in `10.0.0.0/24`. */
  subnet: string
}

/** bhyve lets go of its vnic some seconds after it has ended. */
const DELETE = { attempts: 20, pauseMs: 1000 }

/** Slots of this very process. */
const mine = new Set<string>()

/**
 * Take a place that no other build has; it is given back at the end, whatever the end is. The network has
 * to be there: see ensureBuildNetwork().
 *
 * @throws {HostError} without a build network, or when all places are taken
 */
export async function takeBuildLink(scope: Scope): Promise<BuildLink> {
  const network = readNetwork(await readNetworkFiles())
  if (!network && !session.dryRun) {
    throw new HostError('There is no build network', { hint: 'Run: ./bin/setup-build-network' })
  }
  const subnet = network?.subnet ?? readSubnet(DEFAULTS.subnet)!
  for (const slot of allSlots(subnet)) {
    const { vnic, mac, address } = slot
    if (mine.has(vnic)) continue
    mine.add(vnic)
    const taken = await takeSlot(slot).catch((error: unknown) => {
      mine.delete(vnic)
      throw error
    })
    if (!taken) {
      mine.delete(vnic)
      continue
    }
    scope.defer(`Delete ${vnic}`, () => release(vnic))
    return { vnic, mac, address, gateway: gatewayOf(subnet), subnet: subnetText(subnet) }
  }
  throw new HostError(`All ${SLOTS} places on the build network are taken`, {
    hint: 'Wait until a build has ended; "dladm show-vnic" lists them',
  })
}

async function takeSlot(slot: Slot): Promise<boolean> {
  const { vnic } = slot
  const owners = (await readOwners()).filter((owner) => owner.vnic === vnic)
  if (owners.some(({ alive }) => alive)) return false
  const [dead, ...others] = owners
  if (dead) {
    if (!(await takeBack(dead))) return false
    for (const { pid } of others) await forgetOwner(vnic, pid)
  } else await noteOwner(vnic)
  if (await createVnic(slot)) return true
  await forgetOwner(vnic)
  return false
}

/** A dead process's slot. False: another one took it, or a machine of the dead one is still on it. */
async function takeBack(dead: Owner): Promise<boolean> {
  if (!(await inherit(dead))) return false
  const { vnic } = dead
  const over = (await readVnics()).find(({ link }) => link === vnic)?.over
  if (over === undefined) return true
  // Somebody may have a vnic of this name elsewhere, which the dead one had just found out.
  if (over === ETHERSTUB && (await deleteVnic(vnic, { attempts: 1, pauseMs: 0 }))) return true
  await giveBack(dead)
  return false
}

const isThere = async (vnic: string) => (await readVnics()).some(({ link }) => link === vnic)

/** False: it is there already. */
async function createVnic({ vnic, mac }: Slot): Promise<boolean> {
  const words = asRoot('dladm', 'create-vnic', '-t', '-l', ETHERSTUB, '-m', mac, vnic)
  const { exitCode, stderr } = await $({ nothrow: true })`${words}`
  if (exitCode === 0) return true
  if (/object already exists/.test(stderr)) return false
  await forgetOwner(vnic)
  throw new BuildError(`Cannot make ${vnic} on ${ETHERSTUB}: ${stderr.trim()}`, {
    hint: 'Run: ./bin/setup-build-network',
  })
}

/** True: it is gone, or was never there. */
async function deleteVnic(vnic: string, { attempts, pauseMs } = DELETE): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const words = asRoot('dladm', 'delete-vnic', '-t', vnic)
    const { exitCode } = await $({ nothrow: true, undo: true })`${words}`
    if (exitCode === 0 || !(await isThere(vnic))) return true
    if (attempt === attempts) return false
    await delay(pauseMs)
  }
}

/** Its file stays when the vnic does: once this process is dead, the next build takes both. */
async function release(vnic: string): Promise<void> {
  if (!(await deleteVnic(vnic))) {
    throw new BuildError(`${vnic} is still in use; a later build takes it back`)
  }
  await forgetOwner(vnic)
  mine.delete(vnic)
}
