/**
 * An installation in a machine: started, shown, watched, over. What is installed, and how it is told
 * what to do, is the caller's.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HostError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Report } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { findFirmware, needFirmware } from '../host/firmware.ts'
import type { Hypervisor } from '../host/hypervisor.ts'
import { BHYVE_ROMS, bhyveWords } from './bhyve.ts'
import { hardware, type HardwareName, type MachineFirmware } from './hardware.ts'
import { startMachine } from './machine.ts'
import { LISTING } from './markers.ts'
import { qemuWords } from './qemu.ts'
import type { MachineSpec, Nic } from './spec.ts'
import { superviseInstaller, type Supervision } from './supervise.ts'

/** QEMU's network of an installation: made for it alone, so that it may be always the same. */
export const INSTALL_NIC: Nic = {
  mac: '52:54:00:12:34:56',
  subnet: '192.168.76.0/24',
  gateway: '192.168.76.2',
  resolver: '192.168.76.3',
  closed: false,
}

/** What SMBIOS tells while installing: no instance's. */
const UUID = '00000000-0000-8000-8000-000000000000'

/**
 * Firmware for a machine, with variables of its own in `work`.
 *
 * @throws {HostError} where the hypervisor has none of this name
 */
export async function installFirmware(
  name: 'bios' | 'uefi',
  { layout, hypervisor }: { layout: HardwareName; hypervisor: Hypervisor },
  work: string,
): Promise<MachineFirmware> {
  if (name === 'bios') return 'bios'
  if (hypervisor.name === 'bhyve') return { code: rom(BHYVE_ROMS.uefi), variables: '' }
  if (hypervisor.lacks.has('firmware')) {
    throw new HostError(`Cannot boot from UEFI: ${hypervisor.program} knows BIOS only`, {
      hint: 'Choose --firmware bios, or --machine bhyve',
    })
  }
  const { family } = hardware[layout]
  const variables = join(work, 'variables.fd')
  // With --dry-run it may be missing still.
  const unknown = { ...rom('FIRMWARE'), variables: 'VARIABLES' }
  const code = session.dryRun ? (findFirmware(family) ?? unknown) : needFirmware(family)
  await act(`copy ${code.variables} to ${variables}`, () => copyFile(code.variables, variables))
  return { code, variables }
}

/** Firmware that is one file, and keeps nothing. */
const rom = (code: string) => ({ code, codeFormat: 'raw', variables: '', variablesFormat: 'raw' })

export type Installation = Omit<MachineSpec, 'nic' | 'uuid'> & {
  /** How often the guest may reboot, going on from its disk, before it is done. */
  reboots?: number
}

/**
 * Run it to its end.
 *
 * @returns the console's text
 * @throws {BuildError} when it fails, with the installer's last words
 */
export async function install(
  installation: Installation,
  watch: Omit<Supervision, 'onLine' | 'earlier' | 'goesOn'>,
  place: { scope: Scope; serialLog: string },
  report: Report,
): Promise<string> {
  const { reboots = 0, ...machine } = installation
  let spec: MachineSpec = { ...machine, nic: INSTALL_NIC, uuid: UUID }
  if (session.dryRun) {
    await printMachine(spec)
    return ''
  }
  let earlier = ''
  for (let left = reboots; ; left--) {
    const running = await startMachine(spec, place.scope, place.serialLog)
    if (running.vnc) {
      const { address, port, password } = running.vnc
      log.info(`Screen: VNC at ${address} port ${port}, password ${password}`)
    }
    await running.go()
    const onLine = (line: string) => !LISTING.test(line) && log.info(line)
    const supervision = { ...watch, earlier, goesOn: left > 0, onLine }
    earlier += await superviseInstaller(running, supervision, report)
    if (left === 0 || running.end?.how !== 'reboot') return earlier
    await running.stop()
    log.info('The guest reboots: it goes on from its disk')
    spec = { ...spec, cdroms: [], kernel: undefined }
  }
}

/** What would be run, with names for what is not there yet. */
async function printMachine({ hypervisor, ...spec }: MachineSpec): Promise<void> {
  const sockets = { console: 'CONSOLE', metadata: 'METADATA', qmp: 'QMP' }
  if (hypervisor.name === 'qemu') {
    await $`${qemuWords({ ...spec, hypervisor, sockets })}`
    return
  }
  const cdroms = [...(spec.kernel ? ['BOOT-CD'] : []), ...(spec.cdroms ?? [])]
  await $`${bhyveWords({ ...spec, cdroms, vm: 'MACHINE', vnic: 'LINK', sockets })}`
}
