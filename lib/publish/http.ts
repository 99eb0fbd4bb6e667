/**
 * One HTTP request and its answer, with the body streamed from a file where it is one.
 *
 * A file waits for the server's word to go on (Expect: 100-continue), so that one that refuses has not been sent
 * hundreds of MiB before; a server that never says it gets the file after a second, as RFC 9110 (10.1.1) asks for.
 * Each request has a connection of its own: one that a server closes while it is idle costs no request.
 */
import { createReadStream } from 'node:fs'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http'
import { BuildError, explain } from '../cli/errors.ts'
import { throughProxy } from './proxy.ts'

export type FileBody = { path: string; bytes: number }

export type Request = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  url: URL
  headers: Readonly<Record<string, string>>
  body?: string | FileBody | undefined
  /** Aborted: the connection is closed at once. */
  signal?: AbortSignal | undefined
  /** A connection on which nothing moves for so long is given up. */
  idleMs: number
  /** Hears how many bytes of a file went. */
  onSent?: ((bytes: number) => void) | undefined
}

export type Answer = { status: number; headers: IncomingHttpHeaders; text: string }

/** The connection could not be made or was lost: what the server did is not known. */
export class ConnectionError extends BuildError {
  override name = 'ConnectionError'
}

const CONTINUE_MS = 1000
const LONGEST_ANSWER = 1 << 20

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was closed',
  EPIPE: 'the connection was closed',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it does not answer',
}

/**
 * Send a request.
 *
 * @returns the answer, whatever its status is
 * @throws {ConnectionError} when there is none; {BuildError} when the file can't be read; the signal's reason
 */
export async function exchange(wanted: Request): Promise<Answer> {
  wanted.signal?.throwIfAborted()
  try {
    return await send(wanted, await throughProxy(wanted.url, wanted.signal))
  } catch (error) {
    wanted.signal?.throwIfAborted()
    if (error instanceof BuildError) throw error
    const { code, message } = error as NodeJS.ErrnoException // what sockets throw
    const reason = (code !== undefined && REASONS[code]) || message
    if (code !== undefined && /CERT|TLS|SSL|SELF_SIGNED/.test(code)) {
      // Another attempt would find the same certificate.
      throw new BuildError(`Cannot trust ${wanted.url.host}: ${reason}`, {
        hint: 'Certificates of your own go into a file that NODE_EXTRA_CA_CERTS names',
        cause: error,
      })
    }
    throw new ConnectionError(`Lost the connection to ${wanted.url.host}: ${reason}`, {
      cause: error,
    })
  }
}

async function send(wanted: Request, way: RequestOptions): Promise<Answer> {
  const { method, url, body, signal, idleMs } = wanted
  const file = typeof body === 'object' ? body : undefined
  const text = typeof body === 'string' ? body : undefined
  const length = file?.bytes ?? (text === undefined ? undefined : Buffer.byteLength(text))
  const headers = {
    ...wanted.headers,
    ...way.headers,
    host: url.host,
    // A POST or PUT without a body has a length all the same: proxies insist.
    ...((length !== undefined || /^P/.test(method)) && { 'content-length': length ?? 0 }),
    ...(file && { expect: '100-continue' }),
  }
  // Loaded when it is needed: a third of the start of a command.
  const { request: open } = await (url.protocol === 'https:'
    ? import('node:https')
    : import('node:http'))
  return new Promise((resolve, reject) => {
    const request = open(url, {
      ...(way.createConnection ? {} : { agent: false }),
      ...way,
      method,
      headers,
      ...(signal && { signal }),
    })
    let done = false
    const end = (settle: () => void) => {
      done = true
      clearTimeout(waiting)
      settle()
      request.destroy()
    }
    request.on('error', (error) => end(() => reject(error)))
    request.setTimeout(idleMs, () => {
      const what = `nothing moved for ${Math.round(idleMs / 1000)} s`
      request.destroy(new ConnectionError(`Lost the connection to ${url.host}: ${what}`))
    })
    request.on('response', (answer) => {
      readAnswer(answer).then(
        (whole) => end(() => resolve(whole)),
        (error: unknown) => end(() => reject(error)),
      )
    })
    let waiting: NodeJS.Timeout | undefined
    if (!file) {
      request.end(text)
      return
    }
    let started = false
    const start = () => {
      if (started || done) return
      started = true
      clearTimeout(waiting)
      sendFile(request, file, wanted.onSent).catch((error: unknown) => {
        request.destroy(error instanceof Error ? error : new Error(String(error)))
      })
    }
    request.on('continue', start)
    waiting = setTimeout(start, CONTINUE_MS)
  })
}

/** Write a file as fast as it is taken; ends quietly when the request does. */
async function sendFile(
  request: ClientRequest,
  { path, bytes }: FileBody,
  onSent: Request['onSent'],
): Promise<void> {
  let sent = 0
  const pieces = createReadStream(path, { highWaterMark: 1 << 18 })
  try {
    for await (const piece of pieces as AsyncIterable<Buffer>) {
      if (request.destroyed) return
      sent += piece.length
      if (sent > bytes) break
      if (!request.write(piece)) await drained(request)
      onSent?.(sent)
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  } finally {
    pieces.destroy()
  }
  if (request.destroyed) return
  if (sent !== bytes) throw new BuildError(`Cannot send "${path}": it changed meanwhile`)
  request.end()
}

function drained(request: ClientRequest): Promise<void> {
  return new Promise((go) => {
    const then = () => {
      request.off('drain', then).off('close', then)
      go()
    }
    request.on('drain', then).on('close', then)
  })
}

async function readAnswer(answer: IncomingMessage): Promise<Answer> {
  let text = ''
  answer.setEncoding('utf8')
  for await (const piece of answer as AsyncIterable<string>) {
    text += piece
    if (text.length >= LONGEST_ANSWER) break // one without an end would keep us for ever
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, text }
}
