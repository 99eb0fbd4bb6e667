/**
 * QEMU's machine protocol: commands and answers as JSON, a line each, on a unix socket.
 * Source: QEMU's docs/interop/qmp-spec.
 */
import type { Socket } from 'node:net'
import { BuildError } from '../cli/errors.ts'
import { connectUnix } from '../host/unix-socket.ts'

/** Something happened: its name, and QEMU's facts about it. */
export type OnEvent = (event: string, data: Record<string, unknown>) => void

type Message = {
  return?: unknown
  error?: { desc: string }
  event?: string
  data?: Record<string, unknown>
}
type Waiting = { done: (value: unknown) => void; fail: (error: Error) => void }

export class Qmp {
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  readonly #onEvent: OnEvent
  #rest = ''

  private constructor(socket: Socket, onEvent: OnEvent) {
    this.#socket = socket
    this.#onEvent = onEvent
    socket.on('data', (data) => this.#receive(String(data)))
    socket.on('error', () => {})
    socket.on('close', () => {
      for (const { fail } of this.#waiting.splice(0)) fail(new BuildError('QEMU has ended'))
    })
  }

  /** Connect, and say that we are ready. @throws {BuildError} when QEMU is not there */
  static async connect(path: string, onEvent: OnEvent = () => {}): Promise<Qmp> {
    const qmp = new Qmp(await connectUnix(path, 10_000), onEvent)
    await qmp.execute('qmp_capabilities')
    return qmp
  }

  /** Run a command; its result. @throws {BuildError} with QEMU's words */
  execute(command: string, args: object = {}): Promise<unknown> {
    const answer = new Promise<unknown>((done, fail) => this.#waiting.push({ done, fail }))
    if (this.#socket.destroyed) this.#waiting.pop()!.fail(new BuildError('QEMU has ended'))
    else this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    return answer
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      const message = messageIn(line)
      if (!message) {
        // Nothing that follows can be told from what it answers.
        this.#socket.destroy()
        return
      }
      if (message.event !== undefined) this.#onEvent(message.event, message.data ?? {})
      // Greeting and events answer nothing.
      if (!('return' in message || message.error)) continue
      const waiting = this.#waiting.shift()
      if (message.error) waiting?.fail(new BuildError(`QEMU refused: ${message.error.desc}`))
      else waiting?.done(message.return)
    }
  }
}

function messageIn(line: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null ? (message as Message) : undefined
  } catch {
    return undefined
  }
}
