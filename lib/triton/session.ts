/**
 * The host's side of a metadata conversation: bytes of the serial port in, answers out.
 *
 * Speaks versions 1 and 2 of the protocol. Whatever the port brings that is no request, as firmware
 * messages and boot menus do, is answered like the real agent answers it: `invalid command` for a
 * line, silence for a damaged frame. Source: https://eng.tritondatacenter.com/mdata/protocol.html
 */
import { decodeFrame, encodeFrame, type Frame } from './frames.ts'
import type { Metadata } from './metadata.ts'

/** A request that was understood, for the record. */
export type MetadataRequest = {
  version: 1 | 2
  verb: string
  key: string | undefined
  answer: string
}

/** A line longer than this is no request: 16 MiB of base64 is far beyond any metadata. */
const LONGEST_LINE = 16 * 1024 ** 2

export type SessionOptions = {
  /** Called with each request, once it is answered. */
  onRequest?: (request: MetadataRequest) => void
  /** Be an agent from before version 2. */
  onlyV1?: boolean
}

export class MetadataSession {
  #rest = ''
  #skipping = false
  readonly #metadata: Metadata
  readonly #options: SessionOptions

  constructor(metadata: Metadata, options: SessionOptions = {}) {
    this.#metadata = metadata
    this.#options = options
  }

  /** Take bytes, in pieces of any size; returns what is to be sent back. */
  feed(bytes: Buffer): Buffer {
    // Only what is new is looked through: a port without line ends would be read again with every piece.
    const [first = '', ...others] = bytes.toString('latin1').split('\n')
    const lines = [this.#rest + first, ...others]
    this.#rest = lines.pop()!
    const answers = lines.map((line) => (this.#skipped() ? REFUSED : this.#answer(line)))
    if (this.#rest.length > LONGEST_LINE) {
      this.#rest = ''
      this.#skipping = true // the end of that line is still to come
    }
    return Buffer.from(answers.join(''))
  }

  #skipped(): boolean {
    const was = this.#skipping
    this.#skipping = false
    return was
  }

  #answer(line: string): string {
    const text = line.replace(/\r$/, '') // a terminal may add it
    if (text === 'NEGOTIATE V2' && !this.#options.onlyV1) return 'V2_OK\n'
    if (text.startsWith('V2 ') && !this.#options.onlyV1) return this.#answerV2(text)
    const [, verb, key] = /^(?:(GET) (\S.*)|KEYS)$/.exec(text) ?? []
    if (verb === undefined && text !== 'KEYS') return REFUSED
    const value = verb ? this.#metadata.get(fromLatin1(key!)) : this.#metadata.keys().join('\n')
    const answer = value === undefined ? 'NOTFOUND' : 'SUCCESS'
    this.#options.onRequest?.({ version: 1, verb: verb ?? 'KEYS', key, answer })
    return value === undefined ? 'NOTFOUND\n' : `SUCCESS\n${dotted(value)}.\n`
  }

  #answerV2(line: string): string {
    const frame = decodeFrame(line)
    if (!frame) return '' // the client tries again when its time is up
    const { key, word, payload } = this.#perform(frame)
    this.#options.onRequest?.({ version: 2, verb: frame.word, key, answer: word })
    return encodeFrame({
      id: frame.id,
      word,
      payload: payload === undefined ? undefined : utf8(payload),
    })
  }

  #perform({ word: verb, payload }: Frame): { key?: string; word: string; payload?: string } {
    const text = payload?.toString() ?? ''
    const done = (ok: boolean, key: string) =>
      ok
        ? { key, word: 'SUCCESS', payload: 'OK' }
        : { key, word: 'FAILURE', payload: `"${key}" can not be changed` }
    switch (verb) {
      case 'KEYS':
        return { word: 'SUCCESS', payload: this.#metadata.keys().join('\n') }
      case 'GET': {
        const value = this.#metadata.get(text)
        if (value === undefined) return { key: text, word: 'NOTFOUND' }
        return { key: text, word: 'SUCCESS', payload: value }
      }
      case 'DELETE':
        return done(this.#metadata.delete(text), text)
      case 'PUT': {
        const [key = '', value = '', more] = text
          .split(' ')
          .map((word) => Buffer.from(word, 'base64').toString())
        if (more !== undefined) return { word: 'FAILURE', payload: 'PUT takes a key and a value' }
        return done(this.#metadata.put(key, value), key)
      }
      default:
        return { word: 'FAILURE', payload: `unknown request ${verb}` }
    }
  }
}

const REFUSED = 'invalid command\n'
const utf8 = (text: string) => Buffer.from(text)
const fromLatin1 = (text: string) => Buffer.from(text, 'latin1').toString()

/** Lines of a version 1 value: one that starts with a dot gets a second, as a lone dot ends it. */
const dotted = (value: string) =>
  value === '' ? '' : `${value.replace(/\n$/, '').replaceAll(/^\./gm, '..')}\n`
