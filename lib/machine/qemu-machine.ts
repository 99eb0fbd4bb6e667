/**
 * A machine of QEMU's that runs: its console, its screen, its network, its end.
 *
 * The console's first bytes are never lost: the machine stands still until we are connected.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { $, type Output } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { madeSecret } from '../cli/secrets.ts'
import { makeFifos, openFifos } from '../host/fifo.ts'
import { SerialConsole } from './console.ts'
import { within } from './limit.ts'
import { machineDir } from './place.ts'
import { type QemuSpec, qemuWords } from './qemu.ts'
import { type OnEvent, Qmp } from './qmp.ts'
import type { Machine, MachineEnd, Vnc } from './spec.ts'

export type QemuMachine = Machine & {
  /** Port on 127.0.0.1 that leads to the guest's forwarded one. */
  forwardedPort(): Promise<number>
  /** What the graphical console shows, as PNG. */
  screenshot(path: string): Promise<void>
}

/** How long QEMU may take to be ready, in milliseconds. */
const START_MS = 20_000

/**
 * As startMachine(); the machine waits for `go`.
 *
 * @param logPath serial log, appended to
 * @throws {BuildError} with QEMU's words when it does not start
 */
export async function startQemu(
  spec: Omit<QemuSpec, 'sockets'>,
  scope: Scope,
  logPath: string,
): Promise<QemuMachine> {
  const dir = await machineDir(scope)
  const sockets = {
    console: join(dir, 'console'),
    metadata: join(dir, 'metadata'),
    qmp: join(dir, 'qmp'),
  }
  await makeFifos(sockets.console)
  const words = [...qemuWords({ ...spec, sockets }), '-S']
  const ended: Promise<Output> = $({ nothrow: true })`${words}`
  let end: MachineEnd | undefined
  let rebooted = false
  let diskError: string | undefined
  let serialConsole: SerialConsole | undefined
  const over = ended.then(
    (output) => (end = endOf(output, rebooted)),
    () => undefined, // interrupted: main() knows
  )
  const startFailed = over.then((how) => {
    throw new BuildError(`Cannot start machine ${spec.name}: ${saysOf(how)}`)
  })
  startFailed.catch(() => {})

  const onEvent: OnEvent = (event, data) => {
    if (event === 'SHUTDOWN') rebooted = data['reason'] === 'guest-reset'
    if (event !== 'BLOCK_IO_ERROR') return
    diskError ??= String(data['reason'])
    serialConsole?.end(`a disk of the machine can't be written: ${diskError}`)
  }
  const connect = async () => {
    const qmp = await Qmp.connect(sockets.qmp, onEvent)
    return { qmp, console: new SerialConsole(openFifos(sockets.console), logPath) }
  }
  // A QEMU that refuses its words closes its sockets first, and says why when it has ended.
  const connected = connect().catch(async (error: unknown) => {
    const patience = new AbortController()
    await Promise.race([over, delay(START_MS, undefined, { signal: patience.signal })])
    patience.abort()
    if (end) await startFailed
    throw error
  })
  const { qmp, console } = await Promise.race([connected, startFailed])
  serialConsole = console
  void over.then((how) => console.end(saysOf(how)))

  const vnc = spec.vnc === undefined ? undefined : await openVnc(qmp)

  const stop = async () => {
    if (!end) await qmp.execute('quit').catch(() => {})
    qmp.close()
    await over
  }
  scope.defer(`Stop machine ${spec.name}`, stop)
  return {
    console,
    metadataSocket: sockets.metadata,
    vnc,
    async go() {
      await qmp.execute('cont')
    },
    async forwardedPort() {
      const text = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' })
      const [, port] = /HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(String(text)) ?? []
      if (port === undefined)
        throw new BuildError(`Cannot find the forwarded port: QEMU says ${text}`)
      return Number(port)
    },
    async screenshot(path) {
      await qmp.execute('screendump', { filename: path, format: 'png' })
    },
    get running() {
      return end === undefined
    },
    get end() {
      return end
    },
    get diskError() {
      return diskError
    },
    async off(seconds) {
      await within(over, seconds, `Machine ${spec.name} did not power off`)
      qmp.close()
    },
    stop,
  }
}

/** Give the screen a password; until then nobody is let in. */
async function openVnc(qmp: Qmp): Promise<Vnc> {
  // The protocol knows eight characters.
  const password = madeSecret('password of the screen', randomBytes(6).toString('base64url'))
  await qmp.execute('set_password', { protocol: 'vnc', password })
  const { host, service } = (await qmp.execute('query-vnc')) as { host: string; service: string }
  return { address: host, port: Number(service), password }
}

/** How QEMU ended; a reboot of the guest ends it as well. */
export function endOf({ stderr, signal, exitCode }: Output, rebooted: boolean): MachineEnd {
  if (signal) return { how: 'failed', says: `QEMU was killed by ${signal}` }
  if (exitCode === 0) return { how: rebooted ? 'reboot' : 'off' }
  // It says where its screen is, too, which is no complaint.
  const words = stderr.split('\n').filter((line) => line && !/^VNC server running/.test(line))
  const last = words.length > 0 ? `: ${words.at(-1)!.trim()}` : ''
  return { how: 'failed', says: `QEMU ended with status ${exitCode}${last}` }
}

function saysOf(end: MachineEnd | undefined): string {
  if (end === undefined) return 'it was interrupted'
  return end.how === 'failed' ? end.says : 'QEMU has ended'
}
