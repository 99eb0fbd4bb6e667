/**
 * The serial console of a machine: everything it prints, when, and waiting for what it should print.
 *
 * Texts are matched without terminal control sequences, as boot menus place every word by them.
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import type { Duplex } from 'node:stream'
import { BuildError } from '../cli/errors.ts'

// Colours, cursor movements, character sets, private modes.
// eslint-disable-next-line no-control-regex
const CONTROLS = /\x1b(?:\[[0-9;?=]*[A-Za-z@]|[()][A-Z0-9]|[=>78cDEHM])/g
// No longer than any that a terminal knows: what has no end is text.
const UNFINISHED = /\x1b(?:[()]|\[[0-9;?=]{0,40})?$/

/** Text without terminal control sequences and carriage returns. */
export function plainText(text: string): string {
  return text.replaceAll(CONTROLS, '').replaceAll('\r', '')
}

export type Limits = {
  /** For the whole wait. */
  seconds: number
  /** Without a single byte. */
  silentSeconds: number
}

/** A text that did not come: the phase, and the last lines that did. */
export class ConsoleTimeout extends BuildError {
  readonly lastLines: string[]

  constructor(message: string, lastLines: string[]) {
    super(message, {
      hint: lastLines.length ? `Last on the console: ${lastLines.at(-1)}` : undefined,
    })
    this.lastLines = lastLines
  }
}

const LAST_LINES = 15
const CHECK_MS = 200

export class SerialConsole {
  /** Without control sequences. */
  text = ''
  readonly #stream: Duplex
  readonly #log: WriteStream | undefined
  readonly #started = performance.now()
  #unfinished = ''
  #lastByte = performance.now()
  #ended: string | undefined

  /** @param logPath everything goes there, byte for byte */
  constructor(stream: Duplex, logPath?: string) {
    this.#stream = stream
    this.#log = logPath === undefined ? undefined : createWriteStream(logPath, { flags: 'a' })
    this.#log?.on('error', () => {}) // a full disk is told by what needs the log
    stream.on('data', (data: Buffer) => {
      this.#lastByte = performance.now()
      this.#log?.write(data)
      const text = this.#unfinished + data.toString('latin1')
      this.#unfinished = UNFINISHED.exec(text)?.[0] ?? ''
      this.text += plainText(text.slice(0, text.length - this.#unfinished.length))
    })
    stream.on('error', () => {})
    stream.on('close', () => this.end('the machine has ended'))
  }

  /** Nothing more will come, and why. */
  end(why: string): void {
    this.#ended ??= why
    this.#log?.end()
  }

  /** Type something. */
  write(text: string): void {
    this.#stream.write(text)
  }

  /** The last lines that are not empty. */
  lastLines(count = LAST_LINES): string[] {
    return this.text
      .split('\n')
      .map((line) => line.trimEnd())
      .filter(Boolean)
      .slice(-count)
  }

  /** Seconds since the console was opened. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  /**
   * Wait until the console shows a text.
   *
   * @param from position in `text` to look from
   * @returns the match, and the position behind it
   * @throws {ConsoleTimeout} when a limit is reached or the machine ends before
   */
  async waitFor(
    shows: RegExp,
    options: { what: string; limits: Limits; from?: number; signal?: AbortSignal },
  ): Promise<{ match: RegExpExecArray; next: number }> {
    const { what, limits, from = 0, signal } = options
    const began = performance.now()
    for (;;) {
      signal?.throwIfAborted()
      const match = shows.exec(this.text.slice(from))
      if (match) return { match, next: from + match.index + match[0].length }
      const fail = (why: string) =>
        new ConsoleTimeout(`${what} did not appear: ${why}`, this.lastLines())
      if (this.#ended !== undefined) throw fail(this.#ended)
      const seconds = (since: number) => (performance.now() - since) / 1000
      if (seconds(began) > limits.seconds) throw fail(`waited ${limits.seconds} s`)
      if (seconds(Math.max(this.#lastByte, began)) > limits.silentSeconds) {
        throw fail(`it was silent for ${limits.silentSeconds} s`)
      }
      await new Promise((done) => setTimeout(done, CHECK_MS))
    }
  }
}
