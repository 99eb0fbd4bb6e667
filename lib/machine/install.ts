/**
 * An installation in a machine: started, shown, watched, over. What is installed, and how it is told
 * what to do, is the caller's.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { log } from '../cli/log.ts'
import type { Report } from '../cli/progress.ts'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'
import { needFirmware } from '../host/firmware.ts'
import { hardware, type HardwareName, type MachineFirmware } from './hardware.ts'
import { startMachine } from './machine.ts'
import { type MachineSpec, type Nic, qemuWords } from './qemu.ts'
import { superviseInstaller, type Supervision } from './supervise.ts'

/** The network of an installation: made by QEMU for it alone, so that it may be always the same. */
export const INSTALL_NIC: Nic = {
  mac: '52:54:00:12:34:56',
  subnet: '192.168.76.0/24',
  gateway: '192.168.76.2',
  resolver: '192.168.76.3',
  closed: false,
}

/** What SMBIOS tells while installing: no instance's. */
const UUID = '00000000-0000-8000-8000-000000000000'

/** Firmware for a machine, with variables of its own in `work`. */
export async function installFirmware(
  name: 'bios' | 'uefi',
  layout: HardwareName,
  work: string,
): Promise<MachineFirmware> {
  if (name === 'bios') return 'bios'
  const code = needFirmware(hardware[layout].family)
  const variables = join(work, 'variables.fd')
  await copyFile(code.variables, variables)
  return { code, variables }
}

/**
 * Run it to its end.
 *
 * @returns the console's text
 * @throws {BuildError} when it fails, with the installer's last words
 */
export async function install(
  machine: Omit<MachineSpec, 'sockets' | 'nic' | 'uuid'>,
  watch: Omit<Supervision, 'onLine'>,
  place: { scope: Scope; serialLog: string },
  report: Report,
): Promise<string> {
  const spec = { ...machine, nic: INSTALL_NIC, uuid: UUID }
  if (session.dryRun) {
    const sockets = { console: 'CONSOLE', metadata: 'METADATA', qmp: 'QMP' }
    await $`${qemuWords({ ...spec, sockets })}`
    return ''
  }
  const running = await startMachine(spec, place.scope, place.serialLog)
  if (running.vnc) {
    const { address, port, password } = running.vnc
    log.info(`Screen: VNC at ${address} port ${port}, password ${password}`)
  }
  await running.go()
  return superviseInstaller(running, { ...watch, onLine: log.info }, report)
}
