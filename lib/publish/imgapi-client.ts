/**
 * The requests of IMGAPI that publishing takes.
 *
 * Source: sdc-imgapi, docs/index.md and lib/images.js. An image is imported without a file, gets its file, which may
 * be sent again until then, and is activated: from there on it is for all to see and its file can't change.
 */
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import type { Answer } from './http.ts'
import { ask, type Ask, jsonObject, Refused, type Server } from './server.ts'

/** What we look at of an image that the server has. */
export type ServersImage = {
  state: string
  channels: readonly string[] | undefined
  file: { sha1: string; size: number } | undefined
}

/** Fields of a manifest that AdminImportImage takes; it refuses any others, `activated` among them. */
const IMPORTED = [
  ...[
    'v',
    'uuid',
    'urn',
    'owner',
    'name',
    'version',
    'description',
    'homepage',
    'eula',
    'type',
    'os',
  ],
  ...[
    'origin',
    'public',
    'disabled',
    'acl',
    'icon',
    'error',
    'requirements',
    'users',
    'traits',
    'tags',
  ],
  ...['billing_tags', 'generate_passwords', 'inherited_directories', 'published_at'],
  ...['nic_driver', 'disk_driver', 'cpu_type', 'image_size'],
]

/** The part of a manifest that is imported; the server itself adds state, channels and file. */
export function importedFields(manifest: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(manifest).filter(([name]) => IMPORTED.includes(name)))
}

export class ImgapiClient {
  readonly #server: Server
  readonly #channel: string | undefined

  constructor(server: Server, channel: string | undefined) {
    this.#server = server
    this.#channel = channel
  }

  #ask(uuid: string, wanted: Omit<Ask, 'path'> & { below?: string }): Promise<Answer> {
    const { below = '', ...rest } = wanted
    return ask(this.#server, {
      ...rest,
      path: `/images/${uuid}${below}`,
      query: { channel: this.#channel, ...rest.query },
    })
  }

  /** In whatever channel it is; undefined: in none. */
  async get(uuid: string, undo = false): Promise<ServersImage | undefined> {
    const wanted = { method: 'GET', query: { channel: '*' }, also: [404], undo } as const
    const answer = await this.#ask(uuid, wanted)
    return answer.status === 404 ? undefined : this.#image(answer, 'GetImage')
  }

  async import(uuid: string, manifest: Readonly<Record<string, unknown>>): Promise<void> {
    const answer = await this.#ask(uuid, {
      method: 'POST',
      query: { action: 'import' },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(importedFields(manifest)),
    })
    this.#image(answer, 'AdminImportImage')
  }

  /** Send the file; again when the connection is lost, as it replaces what came before. */
  async addFile(
    uuid: string,
    file: { path: string; bytes: number },
    query: { compression: string; sha1: string; dataset_guid: string | undefined },
    onSent: (bytes: number) => void,
  ): Promise<ServersImage> {
    const answer = await this.#ask(uuid, {
      method: 'PUT',
      below: '/file',
      query,
      headers: { 'content-type': 'application/octet-stream' },
      body: file,
      onSent,
      again: true,
    })
    return this.#image(answer, 'AddImageFile')
  }

  async activate(uuid: string): Promise<void> {
    await this.#ask(uuid, { method: 'POST', query: { action: 'activate' } })
  }

  /** Also when it is gone already: an attempt before may have done it. */
  async delete(uuid: string, undo = false): Promise<void> {
    await this.#ask(uuid, { method: 'DELETE', also: [404], undo })
  }

  #image({ text, status }: Answer, request: string): ServersImage {
    const image = jsonObject(text)
    const state = image?.['state']
    if (!image || typeof state !== 'string' || !/^\w{1,40}$/.test(state)) {
      const { title, url } = this.#server
      throw new BuildError(
        `Cannot read the answer of ${title} at ${url.host} to ${request}: status ${status}, but no image`,
        { hint: 'Is --url the address of an IMGAPI?' },
      )
    }
    const files: unknown = image['files']
    const file: unknown = Array.isArray(files) ? files[0] : undefined
    const channels: unknown = image['channels']
    return {
      state,
      channels: Array.isArray(channels)
        ? channels.filter((name) => typeof name === 'string').map((name) => oneLine(name))
        : undefined,
      file: isFile(file) ? { sha1: file.sha1, size: file.size } : undefined,
    }
  }
}

function isFile(value: unknown): value is { sha1: string; size: number } {
  if (typeof value !== 'object' || value === null) return false
  return (
    'sha1' in value &&
    typeof value.sha1 === 'string' &&
    /^[0-9a-f]{40}$/.test(value.sha1) &&
    'size' in value &&
    typeof value.size === 'number'
  )
}

/** Was it refused because an image of this uuid came into being meanwhile? */
export const isDuplicate = (error: unknown): error is Refused =>
  error instanceof Refused && error.code === 'ImageUuidAlreadyExists'
