/**
 * The requests of Manta that publishing takes.
 *
 * An object is there whole or not at all, with the MD5 that Manta computed; sent again, it is the same object. A
 * lost connection begins it anew: a plain PUT can't be resumed (multipart uploads can, and are not used here).
 * Source: manta-muskie, docs/index.md.
 */
import { BuildError } from '../cli/errors.ts'
import type { Answer } from './http.ts'
import { encodedPath } from './manta-layout.ts'
import { ask, type Ask, Refused, type Server } from './server.ts'

const DIRECTORY = 'application/json; type=directory'

export type Entry = { kind: 'directory' } | { kind: 'object'; md5: string | undefined }

export class MantaClient {
  readonly #server: Server

  constructor(server: Server) {
    this.#server = server
  }

  #ask(path: string, wanted: Omit<Ask, 'path'>): Promise<Answer> {
    return ask(this.#server, { ...wanted, path: encodedPath(path) })
  }

  /** What is there; undefined: nothing. Digests are hexadecimal. */
  async look(path: string, undo = false): Promise<Entry | undefined> {
    const also = [401, 403, 404]
    const { status, headers } = await this.#ask(path, { method: 'HEAD', also, undo })
    if (status === 401 || status === 403) {
      // An answer to HEAD has no words; this one has, and is refused alike.
      await this.#ask(path, { method: 'GET', headers: { range: 'bytes=0-0' }, undo })
      throw new BuildError(`Cannot look at ${path} in Manta: status ${status}`)
    }
    if (status === 404) return undefined
    if (/type=directory/.test(headers['content-type'] ?? '')) return { kind: 'directory' }
    const md5 = headers['content-md5'] ?? headers['computed-md5']
    return { kind: 'object', md5: typeof md5 === 'string' ? fromBase64(md5) : undefined }
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await this.#ask(path, { method: 'PUT', headers: { 'content-type': DIRECTORY }, again: true })
    } catch (error) {
      // Another one makes it at the same time (ConcurrentRequest).
      const concurrent = error instanceof Refused && error.status === 409
      if (!concurrent || (await this.look(path))?.kind !== 'directory') throw error
    }
  }

  async get(path: string): Promise<string | undefined> {
    const { status, text } = await this.#ask(path, {
      method: 'GET',
      headers: { accept: '*/*' },
      also: [404],
    })
    return status === 404 ? undefined : text
  }

  /** @throws {BuildError} when what Manta got is not what was sent */
  async put(
    path: string,
    body: string | { path: string; bytes: number },
    md5: string,
    onSent?: (bytes: number) => void,
  ): Promise<void> {
    const { headers } = await this.#ask(path, {
      method: 'PUT',
      headers: {
        'content-type': typeOf(path),
        'content-md5': Buffer.from(md5, 'hex').toString('base64'),
      },
      body,
      ...(onSent && { onSent }),
      again: true,
    })
    const got = headers['computed-md5']
    if (typeof got !== 'string' || fromBase64(got) === md5) return
    throw new BuildError(
      `"${path}" did not arrive as it was sent: Manta computed the MD5 ${fromBase64(got)}, not ${md5}`,
    )
  }

  /** Also when it is gone already. */
  async delete(path: string, undo = false): Promise<void> {
    await this.#ask(path, { method: 'DELETE', also: [404], undo })
  }
}

/** By the name, so that a browser shows reports and logs of what is public. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/\.html$/, 'text/html'],
  [/\.xml$/, 'application/xml'],
  [/\.(json|imgmanifest)$/, 'application/json'],
  [/\.(gz|tgz|zfs|qcow2|raw|img)$/, 'application/octet-stream'],
]
const typeOf = (path: string) => TYPES.find(([name]) => name.test(path))?.[1] ?? 'text/plain'

const fromBase64 = (text: string) => Buffer.from(text, 'base64').toString('hex')
