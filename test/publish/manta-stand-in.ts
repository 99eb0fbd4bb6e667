/**
 * A Manta that keeps state, and refuses what the real one refuses, in its words.
 * Source: manta-muskie, docs/index.md, lib/obj.js, lib/dir.js, lib/auth.js, lib/errors.js.
 */
import type { IncomingMessage } from 'node:http'
import { posix } from 'node:path'
import { type Arrived, digest, type Reply, restError, signerOf, StandIn } from './stand-in.ts'

const ALGORITHMS = ['RSA-SHA1', 'RSA-SHA256', 'DSA-SHA1', 'ECDSA-SHA256', 'ED25519-SHA512']
const DIRECTORY = 'application/json; type=directory'

export class MantaStandIn extends StandIn {
  /** Path to content; undefined: a directory. */
  readonly entries: Map<string, Buffer | undefined>

  /** @param keys `/account/keys/<fingerprint>` to SSH public key */
  constructor(keys: Record<string, string>, account = 'ops') {
    super(
      (request: IncomingMessage) => {
        // What is public is for all to read.
        const { method = '', url = '', headers } = request
        const open = /^\/[^/]+\/public\//.test(url) && /^(GET|HEAD)$/.test(method)
        if (!headers.authorization && open) return undefined
        if (!headers.authorization) {
          return restError(401, 'AuthorizationRequired', 'Authorization is required')
        }
        if (signerOf(request, keys, ALGORITHMS) === undefined) {
          const said = 'The signature we calculated does not match the one you sent'
          return restError(403, 'InvalidSignature', said)
        }
        return undefined
      },
      (arrived) => this.#route(arrived),
    )
    this.entries = new Map([
      [`/${account}/stor`, undefined],
      [`/${account}/public`, undefined],
    ])
  }

  /** Paths of all objects, in order. */
  objects(): string[] {
    return [...this.entries].flatMap(([path, content]) => (content ? [path] : [])).sort()
  }

  /** Paths of all directories that are not there from the beginning. */
  directories(): string[] {
    return [...this.entries].flatMap(([path, content]) =>
      content || path.split('/').length <= 3 ? [] : [path],
    )
  }

  /** All that is there, to be compared later. */
  state(): string[] {
    return [...this.entries].map(
      ([path, content]) => `${path} ${content && digest('md5', content)}`,
    )
  }

  text(path: string): string | undefined {
    return this.entries.get(path)?.toString()
  }

  #route({ method, path, headers, body }: Arrived): Reply {
    const there = this.entries.get(path)
    if (method === 'PUT') return this.#put(path, headers, body)
    if (!this.entries.has(path)) {
      return restError(404, 'ResourceNotFound', `${path} was not found`)
    }
    if (method === 'DELETE') {
      if (!there && [...this.entries.keys()].some((one) => one.startsWith(`${path}/`))) {
        return restError(400, 'DirectoryNotEmpty', `${path} is not empty`)
      }
      this.entries.delete(path)
      return { status: 204 }
    }
    if (!there) return { status: 200, headers: { 'content-type': DIRECTORY } }
    const md5 = digest('md5', there, 'base64')
    const type = { 'content-type': 'application/octet-stream', 'content-md5': md5 }
    return { status: 200, headers: type, ...(method === 'GET' && { body: there.toString() }) }
  }

  #put(path: string, headers: Arrived['headers'], body: Buffer): Reply {
    const parent = posix.dirname(path)
    if (!this.entries.has(parent)) {
      return restError(404, 'DirectoryDoesNotExist', `${parent} does not exist`)
    }
    if (this.entries.get(parent)) {
      return restError(400, 'ParentNotDirectory', `${parent} is not a directory`)
    }
    if (headers['content-type'] === DIRECTORY) {
      if (!this.entries.has(path)) this.entries.set(path, undefined)
      return { status: 204 }
    }
    const md5 = digest('md5', body, 'base64')
    const said = headers['content-md5']
    if (said !== undefined && said !== md5) {
      return restError(
        400,
        'ContentMD5Mismatch',
        `Content-MD5 expected ${String(said)}, but was ${md5}`,
      )
    }
    this.entries.set(path, body)
    return { status: 204, headers: { 'computed-md5': md5 } }
  }
}
