/**
 * What the stand-ins of IMGAPI and Manta share: an HTTP server on loopback with faults that a test plans, and
 * signatures verified as the real ones do, by npm's http-signature.
 */
import { createHash } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import httpSignature from 'http-signature'
import sshpk from 'sshpk'

/** What goes wrong with a request; each is used once. */
export type Fault =
  /** Answered before a byte of the body is read; `meanwhile` another client does something. */
  | { status: number; body?: unknown; meanwhile?: () => unknown }
  /** The connection is closed when so much of the body has come, or once all is done, without an answer. */
  | { drop: number | 'answer' }
  /** The body is read, something is done or not, and this is the text of the answer. */
  | { answer: string }
  /** Nothing happens for so long. */
  | { stall: number }
  /** All has come, `meanwhile` something happens, and it is done so many milliseconds later. */
  | { late: number; meanwhile: () => unknown }
  /** The body is taken in small pieces, with a pause after each. */
  | { slow: number }
  /** One bit of what came is another one. */
  | { corrupt: true }

export type Arrived = {
  method: string
  /** Decoded. */
  path: string
  query: URLSearchParams
  headers: http.IncomingHttpHeaders
  body: Buffer
}

export type Reply = { status: number; body?: unknown; headers?: Record<string, string> }

/** A failure in the words of restify, on which both are built. */
export const restError = (status: number, code: string, message: string, more = {}): Reply => ({
  status,
  body: { code, message, ...more },
})

export class StandIn {
  /** `GET /images/...`, for each request that came, also those that a fault met. */
  readonly requests: string[] = []
  /** How much of a body came, by request. */
  readonly received: number[] = []
  /** Called when half of a body has come. */
  atHalf: (() => void) | undefined
  #faults: { when: RegExp; fault: Fault }[] = []
  #server: http.Server
  #refuse: (request: IncomingMessage) => Reply | undefined
  #handle: (arrived: Arrived) => Reply

  /** @param refuse looks at the head alone: what it says, the client hears before it sends its body */
  constructor(
    refuse: (request: IncomingMessage) => Reply | undefined,
    handle: (arrived: Arrived) => Reply,
  ) {
    this.#refuse = refuse
    this.#handle = handle
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => request.destroy())
    }
    this.#server = http.createServer(answer)
    this.#server.on('checkContinue', answer)
  }

  /** Let something go wrong with the next request (`PUT /images/...`) that matches. */
  plan(when: RegExp, ...faults: Fault[]): void {
    this.#faults.push(...faults.map((fault) => ({ when, fault })))
  }

  /** Its address, once it is open. */
  url = ''

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this.url
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    this.requests.push(`${method} ${url}`)
    const found = this.#faults.findIndex(({ when }) => when.test(`${method} ${url}`))
    const fault = found < 0 ? undefined : this.#faults.splice(found, 1)[0]!.fault
    const early = fault && 'status' in fault ? fault : this.#refuse(request)
    if (fault && 'status' in fault) fault.meanwhile?.()
    if (early) return reply(response, early)
    if (fault && 'stall' in fault) await delay(fault.stall)
    if (request.headers.expect !== undefined) response.writeContinue()
    const body = await this.#body(request, fault)
    if (fault && 'corrupt' in fault && body.length > 0) body[0]! ^= 1
    if (fault && 'late' in fault) {
      fault.meanwhile()
      await delay(fault.late)
    }
    const { pathname, searchParams } = new URL(url, 'http://loopback')
    const path = decodeURIComponent(pathname)
    const arrived = { method, path, query: searchParams, headers: request.headers, body }
    const result = this.#handle(arrived)
    if (fault && 'drop' in fault) request.socket.destroy()
    else if (fault && 'answer' in fault) response.end(fault.answer)
    else reply(response, result)
  }

  async #body(request: IncomingMessage, fault: Fault | undefined): Promise<Buffer> {
    const length = Number(request.headers['content-length'] ?? 0)
    const index = this.received.push(0) - 1
    const pieces: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) {
      const before = this.received[index]!
      this.received[index] = before + piece.length
      pieces.push(piece)
      const now = this.received[index]
      if (before < length / 2 && now >= length / 2) this.atHalf?.()
      if (fault && 'slow' in fault) await delay(fault.slow)
      if (fault && 'drop' in fault && fault.drop !== 'answer' && now >= length * fault.drop) {
        request.socket.destroy()
        throw new Error('planned')
      }
    }
    return Buffer.concat(pieces)
  }
}

function reply(response: ServerResponse, { status, body, headers }: Reply): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(text)
}

/** Who signed a request, by a table of SSH keys; undefined: nobody that is known, or not rightly. */
export function signerOf(
  request: IncomingMessage,
  keys: Readonly<Record<string, string>>,
  algorithms: readonly string[],
): string | undefined {
  try {
    // It takes what a server gets; its types say what a client sends.
    const parsed = httpSignature.parseRequest(request as unknown as http.ClientRequest)
    const { algorithm, params } = parsed as typeof parsed & { algorithm: string }
    const key = keys[params.keyId]
    if (key === undefined || !algorithms.includes(algorithm.toUpperCase())) return undefined
    const pem = sshpk.parseKey(key, 'ssh').toString('pkcs8')
    return httpSignature.verifySignature(parsed, pem) ? params.keyId : undefined
  } catch {
    return undefined
  }
}

export const digest = (kind: 'sha1' | 'md5', bytes: Buffer, form: 'hex' | 'base64' = 'hex') =>
  createHash(kind).update(bytes).digest(form)
