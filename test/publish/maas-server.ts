/**
 * As much of MAAS as uploads meet: boot resources by its API 2.0 as documented, with its refusals. Each request
 * needs a signature of its own. What goes wrong on the way is planted by the tests.
 *
 * Source: the API's documentation; MAAS 3.7's maasserver/api/boot_resources.py for what it says when.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const KEY = 'consumer8:token4:secr*t/2'

type Stored = {
  id: number
  filetype: string
  sha256: string
  size: number
  content: Buffer
  complete: boolean
}
type Stocked = {
  id: number
  name: string
  architecture: string
  title: string
  baseImage: string
  sets: { version: string; file: Stored | undefined }[]
}
/** What goes wrong with the next request of this kind: a status, a lost request, or a lost answer. */
export type Fault = {
  on: RegExp
  /** Requests of the kind that go well before. */
  after?: number
  does: number | 'drop' | 'carry out and drop' | 'html' | 'half' | (() => void)
}

const STORED: Record<string, string> = {
  tgz: 'root-tgz',
  ddgz: 'root-dd.gz',
  ddtgz: 'root-dd',
  ddraw: 'root-dd.raw',
}

export class MaasServer {
  resources: Stocked[] = []
  faults: Fault[] = []
  /** `PUT /MAAS/api/2.0/...`, those that were refused as well. */
  requests: string[] = []
  partSizes: number[] = []
  signatures: string[] = []
  /** Seconds that its clock is ahead. */
  ahead = 0
  /** Largest body that the proxy before it takes. */
  limit = 10 * 1024 ** 2
  /** Region controllers; those beyond the first have a file some answers after it is complete. */
  regions = 1
  lag = 0
  url = ''
  #nonces = new Set<string>()
  #number = 0
  #server = createServer((request, answer) => void this.#serve(request, answer))

  async start(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/MAAS`
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }

  async #serve(request: IncomingMessage, answer: ServerResponse) {
    const what = `${request.method} ${request.url}`
    this.requests.push(what)
    const say = (status: number, text: string, type = 'text/plain') => {
      answer.writeHead(status, { 'content-type': type }).end(text)
    }
    const fault = this.faults.find(({ on }) => on.test(what))
    const strikes = fault !== undefined && (fault.after ?? 0) === 0
    if (fault?.after) fault.after -= 1
    if (strikes) this.faults.splice(this.faults.indexOf(fault), 1)
    const does = strikes ? fault.does : undefined
    if (typeof does === 'function') does()
    if (does === 'half') {
      // The line breaks in the middle of a request.
      request.once('data', () => request.socket.destroy())
      return
    }
    const pieces: Buffer[] = []
    try {
      for await (const piece of request) pieces.push(piece as Buffer)
    } catch {
      return // the client is gone: MAAS sees no request
    }
    const body = Buffer.concat(pieces)
    if (does === 'drop') return request.socket.destroy()
    if (typeof does === 'number') return say(does, 'Service busy')
    if (does === 'html') return say(200, '<html><title>Log in</title>', 'text/html')
    if (body.length > this.limit) {
      return say(413, '<html><h1>413 Request Entity Too Large</h1></html>', 'text/html')
    }
    const denied = this.#denial(request.headers.authorization ?? '')
    if (denied) return say(401, denied)
    const [status, text] = await this.#answer(request, body)
    if (does === 'carry out and drop') return request.socket.destroy()
    say(status, text, text.startsWith('{') ? 'application/json' : 'text/plain')
  }

  /** RFC 5849 and MAAS' own words. */
  #denial(header: string): string | undefined {
    if (!header.startsWith('OAuth ')) return 'Authorization Error: no signature'
    const fields = new Map(
      header
        .slice(6)
        .split(',')
        .map((field) => {
          const [, name, value] = /^\s*(\w+)="([^"]*)"$/.exec(field) ?? []
          return [name, decodeURIComponent(value ?? '')] as const
        }),
    )
    this.signatures.push(fields.get('oauth_nonce') ?? '')
    const [consumer, token, secret] = KEY.split(':')
    if (fields.get('oauth_consumer_key') !== consumer) {
      return 'Authorization Error: Invalid API key.'
    }
    if (fields.get('oauth_token') !== token) return "Authorization Error: 'Invalid token'"
    const signed = fields.get('oauth_signature')?.split('&').map(decodeURIComponent)
    if (
      fields.get('oauth_signature_method') !== 'PLAINTEXT' ||
      signed?.length !== 2 ||
      signed[0] !== '' ||
      signed[1] !== secret
    ) {
      return "Authorization Error: 'Invalid signature.'"
    }
    const now = Math.floor(Date.now() / 1000) + this.ahead
    const given = Number(fields.get('oauth_timestamp'))
    if (!(Math.abs(now - given) <= 300)) {
      return `Authorization Error: 'Expired timestamp: given ${given} and now ${now}, has a greater difference than threshold 300'`
    }
    const nonce = fields.get('oauth_nonce') ?? ''
    if (nonce === '' || this.#nonces.has(nonce)) return `Authorization Error: 'Nonce already used'`
    this.#nonces.add(nonce)
    return undefined
  }

  async #answer(request: IncomingMessage, body: Buffer): Promise<[number, string]> {
    const path = (request.url ?? '').replace('/MAAS/api/2.0/', '')
    const json = (value: unknown, status = 200): [number, string] => [status, JSON.stringify(value)]
    if (path === 'regioncontrollers/') return json(Array(this.regions).fill({ type: 'region' }))
    if (path === 'boot-resources/?type=uploaded' && request.method === 'GET') {
      return json(this.resources.map((one) => ({ ...this.#told(one), sets: undefined })))
    }
    if (path === 'boot-resources/' && request.method === 'POST') {
      const type = request.headers['content-type'] ?? ''
      const form = await new Response(new Uint8Array(body), {
        headers: { 'content-type': type },
      }).formData()
      const field = (name: string) => String(form.get(name) ?? '')
      if (!/^(ubuntu|centos)\/\w+$|^$/.test(field('base_image'))) {
        return json({ base_image: ['please select a valid base image OS and version'] }, 400)
      }
      return json(this.#create(field), 201)
    }
    const [, id, file] = /^boot-resources\/(\d+)\/(?:upload\/(\d+)\/)?$/.exec(path) ?? []
    const found = this.resources.find((one) => one.id === Number(id))
    if (!found) return [404, 'No BootResource matches the given query.']
    if (file !== undefined && request.method === 'PUT')
      return this.#append(found, Number(file), body)
    if (request.method === 'DELETE') {
      this.resources = this.resources.filter((one) => one !== found)
      return [204, '']
    }
    if (request.method === 'GET') return json(this.#told(found))
    return [405, 'Method Not Allowed']
  }

  /** A new set; the files of the others are gone with it. */
  #create(field: (name: string) => string) {
    const [name, architecture] = [field('name'), field('architecture')]
    let one = this.resources.find((it) => it.name === name && it.architecture === architecture)
    if (!one) {
      one = { id: (this.#number += 1), name, architecture, title: '', baseImage: '', sets: [] }
      this.resources.push(one)
    }
    one.title = field('title')
    one.baseImage = field('base_image') || 'ubuntu/jammy'
    for (const set of one.sets) set.file = undefined
    const version = one.sets.length === 0 ? '20261129' : `20261129.${one.sets.length}`
    const file = {
      id: (this.#number += 1),
      filetype: STORED[field('filetype') || 'tgz']!,
      sha256: field('sha256'),
      size: Number(field('size')),
      content: Buffer.alloc(0),
      complete: false,
    }
    one.sets.unshift({ version, file })
    return this.#told(one)
  }

  #append(one: Stocked, id: number, body: Buffer): [number, string] {
    const file = one.sets.map((set) => set.file).find((it) => it?.id === id)
    if (!file) return [404, 'No BootResourceFile matches the given query.']
    if (body.length === 0) return [400, 'Missing data.']
    if (file.content.length === file.size) return [400, 'Cannot upload to a complete file.']
    if (file.content.length + body.length > file.size) return [400, 'Too much data received.']
    this.partSizes.push(body.length)
    file.content = Buffer.concat([file.content, body])
    if (file.content.length < file.size) return [200, 'OK']
    // As MAAS has it: size alone makes a file complete, and only this answer tells that it is wrong.
    file.complete = true
    const sha256 = createHash('sha256').update(file.content).digest('hex')
    if (sha256 === file.sha256) return [200, 'OK']
    return [400, 'Saved content does not match given SHA256 value.']
  }

  #told(one: Stocked) {
    const { id, name, architecture, title } = one
    return {
      ...{ id, type: 'Uploaded', name, architecture, title, base_image: one.baseImage },
      resource_uri: `/MAAS/api/2.0/boot-resources/${id}/`,
      sets: Object.fromEntries(
        one.sets.map(({ version, file }) => [version, this.#set(id, version, file)]),
      ),
    }
  }

  #set(resource: number, version: string, file: Stored | undefined) {
    if (!file) return { version, label: 'uploaded', size: 0, complete: false, files: {} }
    const { filetype, sha256, size, content } = file
    const copied = file.complete && (this.lag -= 1) < 0
    const stored = content.length * (copied ? this.regions : 1)
    const complete = stored === size * this.regions
    const uri = `/MAAS/api/2.0/boot-resources/${resource}/upload/${file.id}/`
    const rest = complete
      ? {}
      : { progress: (100 * stored) / (size * this.regions), upload_uri: uri }
    const told = { filename: filetype, filetype, sha256, size, complete, ...rest }
    return { version, label: 'uploaded', size, complete, files: { [filetype]: told } }
  }
}
