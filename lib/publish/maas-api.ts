/**
 * Requests to MAAS' API 2.0, by curl, each signed anew. What passes by itself (a conflict, a busy server, a
 * line that broke) is told apart from what does not; whether to ask again is for the caller to know, as some
 * requests may have been carried out though their answer was lost.
 *
 * The signature goes to curl in a file: a command line can be read by everybody on this machine.
 *
 * Source: the API's documentation; curl(1), --write-out, --header @file.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import { $ } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { authorization, type MaasKey } from './maas-key.ts'

export type Answer = {
  /** 0: none came. */
  status: number
  text: string
  /** The same request may go well a little later. */
  passing: boolean
}

export type RequestOptions = {
  form?: Readonly<Record<string, string>>
  /** File that is sent as it is. */
  upload?: string
  /** Asked even after the operator has interrupted: it is part of an undo. */
  undo?: boolean
  /** Given up when nothing moves for so long, in seconds. */
  stallSeconds?: number
}

export type MaasApi = {
  /** Where MAAS is, without a slash at the end. */
  url: string
  /** One request; `path` is below `/api/2.0/`, or what MAAS gave as a URI. */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    options?: RequestOptions,
  ): Promise<Answer>
  /** What MAAS says there, asked again while it is only busy. @throws {BuildError} when it refuses */
  read(what: string, path: string, options?: { undo?: boolean }): Promise<unknown>
  /** Wait before another attempt. */
  pause(attempt: number, options?: { undo?: boolean }): Promise<void>
}

export const ATTEMPTS = 5
/** Longer each time: MAAS asks for 5 seconds on a conflict, for 10 when it is busy. */
const PAUSE_MS = 5000
const PASSING_STATUS = new Set([409, 429, 500, 502, 503, 504])
/** curl's: name look-up, connection, cut transfer, timeout, nothing came, sending, receiving, HTTP/2. */
const PASSING_EXIT = new Set([5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92])

/**
 * @param directory of this run alone, for what curl reads
 */
export function maasApi(
  address: string,
  key: MaasKey,
  directory: string,
  pauseMs = PAUSE_MS,
): MaasApi {
  const url = address.replace(/\/+$/, '').replace(/\/api(\/2\.0)?$/, '')
  const base = new URL(`${url}/api/2.0/`)
  let requests = 0
  const api: MaasApi = {
    url,
    async request(method, path, options = {}) {
      const { form = {}, upload, undo = false, stallSeconds = 60 } = options
      if (!URL.canParse(path, base.href)) {
        const named = oneLine(path)
        throw new BuildError(`Cannot go on with MAAS at ${url}: "${named}" is no address`)
      }
      const target = new URL(path, base)
      // The key is for this server: nothing that it says sends it to another.
      if (target.origin !== base.origin) {
        throw new BuildError(
          `Cannot go on with MAAS at ${url}: it names ${target.origin} for uploads`,
        )
      }
      const signature = join(directory, `signature-${(requests += 1)}`)
      await writeFile(signature, `Authorization: ${authorization(key)}\n`, { mode: 0o600 })
      const words = [
        ...['curl', '--silent', '--show-error', '--globoff', '--request', method],
        ...['--header', `@${signature}`, '--header', 'Accept: application/json'],
        ...['--header', 'Expect:'], // no round trip before each part
        ...Object.entries(form).flatMap(([name, value]) => ['--form-string', `${name}=${value}`]),
        // --upload-file would put the file's name behind an address that ends in a slash, as MAAS' do.
        ...(upload === undefined
          ? []
          : ['--header', 'Content-Type: application/octet-stream', '--data-binary', `@${upload}`]),
        ...['--connect-timeout', '30', '--speed-limit', '1', '--speed-time', String(stallSeconds)],
        ...['--write-out', '\\n%{http_code}', target.href],
      ]
      try {
        const { stdout, stderr, exitCode } = await $({ nothrow: true, undo })`${words}`
        const cut = stdout.lastIndexOf('\n')
        const status = Number(stdout.slice(cut + 1))
        // A refusal may come before all was sent: curl then tells of both, and the refusal says why.
        if (status >= 400 || (status > 0 && exitCode === 0)) {
          return { status, text: stdout.slice(0, cut), passing: PASSING_STATUS.has(status) }
        }
        const said = stderr.trim().split('\n').at(-1) ?? ''
        const text = said.replace(/^curl: \(\d+\) /, '') || `curl exited ${exitCode}`
        return { status: 0, text, passing: PASSING_EXIT.has(exitCode) }
      } finally {
        await rm(signature, { force: true })
      }
    },
    async read(what, path, { undo = false } = {}) {
      for (let attempt = 1; ; attempt++) {
        const answer = await api.request('GET', path, { undo })
        if (answer.status === 200) return parseJson(what, url, answer.text)
        if (!answer.passing || attempt >= ATTEMPTS) throw refused(what, url, answer)
        await api.pause(attempt, { undo })
      }
    },
    async pause(attempt, { undo = false } = {}) {
      const signal = undo ? undefined : stopSignal()
      await delay(pauseMs * 2 ** (attempt - 1), undefined, signal && { signal })
    },
  }
  return api
}

export function parseJson(what: string, url: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new BuildError(`Cannot ${what}: ${url} answers with something that is no JSON`, {
      hint: 'The address of MAAS ends in /MAAS, as in http://192.0.2.1:5240/MAAS',
      cause,
    })
  }
}

/** MAAS' own words: of fields as `name: what is wrong`, of a page its text, in one line. */
export function wordsOf(text: string): string {
  // Of a page its beginning: each tag without an end would be looked for in all of it.
  let words = text.slice(0, 1 << 14).replaceAll(/<(style|script)[^]*?<\/\1>|<[^<>]*>/g, ' ')
  try {
    const fields: unknown = JSON.parse(text)
    if (typeof fields === 'object' && fields !== null) {
      words = Object.entries(fields)
        .map(([name, value]) => `${name}: ${[value].flat().join(' ')}`)
        .join('; ')
    }
  } catch {
    // no JSON: plain text, or a proxy's page
  }
  return oneLine(words)
}

/** An answer that is a refusal, as an operator's error. */
export function refused(what: string, url: string, answer: Answer): BuildError {
  const { status, text } = answer
  if (status === 0) return new BuildError(`Cannot ${what}: ${url}: ${text}`, { hint: unreachable })
  const words = wordsOf(text)
  return new BuildError(`Cannot ${what}: ${url} answers ${status}${words && `: ${words}`}`, {
    hint: hintOf(status, words),
  })
}

const unreachable = 'Is MAAS there, and the address right, as in http://192.0.2.1:5240/MAAS?'

function hintOf(status: number, words: string): string | undefined {
  if (isStale(status, words)) return "Set this machine's clock, and that of MAAS: they differ"
  if (status === 401) return 'Check the API key, in the file of --api-key or $MAAS_API_KEY'
  if (status === 403) return 'The key has to be that of an administrator of MAAS'
  if (status === 404) return unreachable
  if (status >= 300 && status < 400) return 'Give the address that it leads to as --url'
  if (status === 413) return 'A proxy before MAAS takes only small requests: raise its limit'
  if (/no space left/i.test(words))
    return 'Free some space at MAAS: on its region controller, where images are kept'
  if (/base.image/i.test(words))
    return 'Say what it is made of with --base-image, as in ubuntu/jammy'
  if (PASSING_STATUS.has(status)) return 'Publish again, later'
  return undefined
}

/** The signature was too old when it arrived: the clocks differ, or sending took minutes. */
export const isStale = (status: number, text: string) =>
  status === 401 && /expired timestamp/i.test(text)
