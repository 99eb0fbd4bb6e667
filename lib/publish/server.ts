/**
 * A server that images are handed to by HTTP: requests signed by an SSH key where it wants that, its refusals in
 * its own words, and attempts again where the protocol allows them.
 *
 * Source: draft-cavage-http-signatures, with the date as the only header, as Triton's and Manta's own clients
 * sign.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { oneLine } from '../cli/one-line.ts'
import { session, stopSignal } from '../cli/session.ts'
import { type Answer, ConnectionError, exchange, type FileBody, type Request } from './http.ts'
import type { SigningKey } from './ssh-key.ts'

export type Server = {
  /** What it is called in messages: `IMGAPI`. */
  title: string
  url: URL
  /** Undefined: it asks for no signature. */
  signature: { keyId: string; key: SigningKey } | undefined
  /** Sent with every request. */
  headers: Readonly<Record<string, string>>
  /** Print each request, without what is secret in it. */
  verbose?: boolean
  idleMs?: number
  /** Before the second attempt; each further one waits twice as long. */
  pauseMs?: number
}

export type Ask = {
  method: Request['method']
  /** Encoded, below the server's own path. */
  path: string
  query?: Readonly<Record<string, string | undefined>>
  headers?: Readonly<Record<string, string>>
  body?: string | FileBody
  onSent?: (bytes: number) => void
  /** Statuses, besides success, that the caller looks at. */
  also?: readonly number[]
  /** It changes nothing to send it twice. Default: GET, HEAD and DELETE. */
  again?: boolean
  /** Part of an undo: not stopped by an interruption. */
  undo?: boolean
}

/** A server that said no, by its own code where it gave one: `ImageUuidAlreadyExists`. */
export class Refused extends BuildError {
  override name = 'Refused'
  readonly status: number
  readonly code: string | undefined

  constructor(message: string, hint: string | undefined, status: number, code?: string) {
    super(message, { hint })
    this.status = status
    this.code = code
  }
}

const ATTEMPTS = 4
const IDLE_MS = 5 * 60_000
const LONGEST_PAUSE_MS = 30_000
/** Of a proxy that has lost its server, or a server that wants to be asked later. */
const PASSING = new Set([408, 429, 502, 503, 504])

/**
 * Ask a server, and again where an attempt may mend it.
 *
 * @throws {Refused} with its words, {ConnectionError} when there is no answer, and the interruption
 */
export async function ask(server: Server, wanted: Ask): Promise<Answer> {
  const { method, undo = false } = wanted
  const again = wanted.again ?? ['GET', 'HEAD', 'DELETE'].includes(method)
  const signal = undo ? undefined : stopSignal()
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await once(server, wanted, signal)
      const { status } = answer
      if ((status >= 200 && status < 300) || wanted.also?.includes(status)) return answer
      throw refusal(server, wanted, answer)
    } catch (error) {
      const passing =
        error instanceof ConnectionError ||
        (error instanceof Refused &&
          // An error of its own comes again: a file is not sent four times to see that.
          (PASSING.has(error.status) || (error.status === 500 && method !== 'PUT')))
      if (!again || !passing || attempt >= ATTEMPTS) throw error
      const pause = Math.min(LONGEST_PAUSE_MS, (server.pauseMs ?? 1000) * 2 ** (attempt - 1))
      log.info(`${error.message}: trying again in ${pause / 1000} s`)
      await delay(pause, undefined, { ...(signal && { signal }) }).catch(() =>
        signal?.throwIfAborted(),
      )
    }
  }
}

async function once(
  server: Server,
  { method, path, query = {}, headers = {}, body, onSent }: Ask,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const url = new URL(server.url)
  url.pathname = url.pathname.replace(/\/$/, '') + path
  url.search = new URLSearchParams(
    Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined),
  ).toString()
  const answer = await exchange({
    method,
    url,
    headers: {
      accept: 'application/json',
      'user-agent': 'hybrid-images',
      ...server.headers,
      ...headers,
      ...(await signed(server)),
    },
    body,
    signal,
    onSent,
    idleMs: server.idleMs ?? IDLE_MS,
  })
  if (server.verbose || session.verbose) log.info(`${method} ${url.href}: ${answer.status}`)
  return answer
}

/** Signed anew for each attempt: servers take a date that is at most five minutes old. */
async function signed({ signature }: Server): Promise<Record<string, string>> {
  if (!signature) return {}
  const date = new Date().toUTCString()
  const { algorithm, signature: text } = await signature.key.sign(`date: ${date}`)
  const fields = { keyId: signature.keyId, algorithm, headers: 'date', signature: text }
  const words = Object.entries(fields).map(([name, value]) => `${name}="${value}"`)
  return { date, authorization: `Signature ${words.join(',')}` }
}

const HINTS: Record<number, string> = {
  401: 'Is the account right (--user), and its key the one that the server knows (--identity)? Is the clock?',
  403: 'Is the account right (--user), its key known to the server (--identity), and is it allowed to do this?',
  413: 'The server, or a proxy in front of it, takes no file of this size',
}

function refusal(server: Server, { method, path }: Ask, { status, headers, text }: Answer) {
  const body = jsonObject(text)
  const code = typeof body?.['code'] === 'string' ? oneLine(body['code']) : undefined
  const said = typeof body?.['message'] === 'string' ? oneLine(body['message']) : firstLine(text)
  const location = status >= 300 && status < 400 && headers.location
  const what = [status, code, location && `go to ${oneLine(location)}`].filter(Boolean).join(' ')
  const minds = mindedFields(body?.['errors'])
  return new Refused(
    `${server.title} at ${server.url.host} refused ${method} ${path}: ${what}${said && `, ${said}`}${minds}`,
    HINTS[status],
    status,
    code,
  )
}

/** Fields that it minds, as in a 422: `{ field: "name", code: "Invalid" }`. */
function mindedFields(errors: unknown): string {
  if (!Array.isArray(errors)) return ''
  try {
    return `: ${oneLine(JSON.stringify(errors))}`
  } catch {
    return '' // it nests them deeper than anybody reads
  }
}

/** A page's words: what is looked at of it is not more than is shown by far. */
const firstLine = (text: string) =>
  oneLine(
    text
      .slice(0, 1 << 14)
      .replaceAll(/<[^<>]*>/g, ' ')
      .trim()
      .split('\n')[0]!,
    200,
  )

/** The object that a text is in JSON, or undefined. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
