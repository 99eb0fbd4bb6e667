/**
 * A virtual machine that runs: its console, its screen, its network, its end.
 *
 * The console's first bytes are never lost: the machine stands still until we are connected.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { $, type Output } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { connectUnix } from '../host/unix-socket.ts'
import { SerialConsole } from './console.ts'
import { type MachineSpec, qemuWords } from './qemu.ts'
import { type OnEvent, Qmp } from './qmp.ts'

/** A screen that can be looked at. */
export type Vnc = { address: string; port: number; password: string }

export type Machine = {
  console: SerialConsole
  /** Socket of the second serial port, to serve metadata on. */
  metadataSocket: string
  /** Where to look at its screen, when the spec asks for VNC. */
  vnc: Vnc | undefined
  /** Let the processor run: before, nothing of the guest has happened. */
  go(): Promise<void>
  /** Port on 127.0.0.1 that leads to the guest's forwarded one. */
  forwardedPort(): Promise<number>
  /** What the graphical console shows, as PNG. */
  screenshot(path: string): Promise<void>
  /** Whether it still lives. */
  readonly running: boolean
  /** How QEMU ended, once it has. */
  readonly output: Output | undefined
  /** What went wrong with one of its disks on the host: the guest stands still then. */
  readonly diskError: string | undefined
  /** Resolves when the machine has ended by itself; rejects when it does not in time. */
  off(seconds: number): Promise<void>
  /** End it now. */
  stop(): Promise<void>
}

/** How long QEMU may take to be ready, in milliseconds. */
const START_MS = 20_000

/**
 * Start a machine; it waits for `go`.
 *
 * @param logPath serial log, appended to
 * @throws {BuildError} with QEMU's words when it does not start
 */
export async function startMachine(
  spec: Omit<MachineSpec, 'sockets'>,
  scope: Scope,
  logPath: string,
): Promise<Machine> {
  // A path of a unix socket has room for 107 bytes only, and $TMPDIR may be long.
  const dir = await scope.tempDir('machine', '/tmp')
  const sockets = {
    console: join(dir, 'console'),
    metadata: join(dir, 'metadata'),
    qmp: join(dir, 'qmp'),
  }
  const words = [...qemuWords({ ...spec, sockets }), '-S']
  const ended: Promise<Output> = $({ nothrow: true })`${words}`
  let output: Output | undefined
  let diskError: string | undefined
  let serialConsole: SerialConsole | undefined
  const over = ended.then(
    (result) => (output = result),
    () => undefined, // interrupted: main() knows
  )
  const startFailed = over.then((result) => {
    const how = result ? howEnded(result) : 'was interrupted'
    throw new BuildError(`Cannot start machine ${spec.name}: QEMU ${how}`)
  })
  startFailed.catch(() => {})

  const onEvent: OnEvent = (event, data) => {
    if (event !== 'BLOCK_IO_ERROR') return
    diskError ??= String(data['reason'])
    serialConsole?.end(`a disk of the machine can't be written: ${diskError}`)
  }
  const connect = async () => {
    const qmp = await Qmp.connect(sockets.qmp, onEvent)
    const serial = await connectUnix(sockets.console, START_MS)
    return { qmp, console: new SerialConsole(serial, logPath) }
  }
  // A QEMU that refuses its words closes its sockets first, and says why when it has ended.
  const connected = connect().catch(async (error: unknown) => {
    const patience = new AbortController()
    await Promise.race([over, delay(START_MS, undefined, { signal: patience.signal })])
    patience.abort()
    if (output) await startFailed
    throw error
  })
  const { qmp, console } = await Promise.race([connected, startFailed])
  serialConsole = console
  void over.then((result) =>
    console.end(result ? `QEMU ${howEnded(result)}` : 'it was interrupted'),
  )

  const vnc = spec.vnc === undefined ? undefined : await openVnc(qmp)

  const stop = async () => {
    if (!output) await qmp.execute('quit').catch(() => {})
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
      return output === undefined
    },
    get output() {
      return output
    },
    get diskError() {
      return diskError
    },
    async off(seconds) {
      const limit = new AbortController()
      const tooLong = delay(seconds * 1000, 'late', { signal: limit.signal }).catch(() => undefined)
      if ((await Promise.race([over, tooLong])) === 'late') {
        throw new BuildError(`Machine ${spec.name} did not power off within ${seconds} s`)
      }
      limit.abort()
      qmp.close()
    },
    stop,
  }
}

/** Give the screen a password; until then nobody is let in. */
async function openVnc(qmp: Qmp): Promise<Vnc> {
  const password = randomBytes(6).toString('base64url') // the protocol knows eight characters
  await qmp.execute('set_password', { protocol: 'vnc', password })
  const { host, service } = (await qmp.execute('query-vnc')) as { host: string; service: string }
  return { address: host, port: Number(service), password }
}

/** How QEMU ended, in its words or its parent's. */
export function howEnded({ stderr, signal, exitCode }: Output): string {
  if (signal) return `was killed by ${signal}`
  // It says where its screen is, too, which is no complaint.
  const words = stderr.split('\n').filter((line) => line && !/^VNC server running/.test(line))
  return `ended with status ${exitCode}${words.length > 0 ? `: ${words.at(-1)!.trim()}` : ''}`
}
