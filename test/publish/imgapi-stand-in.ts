/**
 * An IMGAPI that keeps state, and refuses what the real one refuses, in its words.
 * Source: sdc-imgapi, lib/images.js, lib/app.js, lib/channels.js, lib/errors.js.
 */
import type { IncomingMessage } from 'node:http'
import imgmanifest from 'imgmanifest'
import { type Arrived, digest, type Reply, restError, signerOf, StandIn } from './stand-in.ts'

type Image = {
  manifest: Record<string, unknown>
  state: 'unactivated' | 'active' | 'disabled' | 'creating'
  channels: string[] | undefined
  files: { sha1: string; size: number; compression: string; dataset_guid?: string }[]
}

/** What AdminImportImage takes out of a body; `files` and `state` it passes over, anything else it refuses. */
const FIELDS = [
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
    'icon',
    'type',
    'os',
  ],
  ...[
    'origin',
    'public',
    'disabled',
    'acl',
    'error',
    'requirements',
    'users',
    'billing_tags',
    'traits',
    'tags',
  ],
  ...['generate_passwords', 'inherited_directories', 'channels', 'published_at'],
  ...['nic_driver', 'disk_driver', 'cpu_type', 'image_size', 'files', 'state'],
]

const notFound = restError(404, 'ResourceNotFound', 'image not found')
const invalid = (message: string, field: string) =>
  restError(422, 'InvalidParameter', message, { errors: [{ field, code: 'Invalid' }] })

export class ImgapiStandIn extends StandIn {
  readonly images = new Map<string, Image>()

  constructor(
    config: {
      /** User to SSH public key; undefined: authType none, as in a data centre. */
      keys?: Record<string, string>
      channels?: string[]
    } = {},
  ) {
    super(
      (request: IncomingMessage) => {
        const { keys } = config
        if (!keys) return undefined
        // Reading is passive: without a signature all may, with a wrong one nobody.
        if (request.method === 'GET' && !request.headers.authorization) return undefined
        const algorithms = ['RSA-SHA1', 'RSA-SHA256', 'DSA-SHA1']
        if (signerOf(request, keys, algorithms) !== undefined) return undefined
        return restError(401, 'UnauthorizedError', 'Unauthorized')
      },
      (arrived) => this.#route(arrived, config.channels),
    )
  }

  #route({ method, path, query, body }: Arrived, channels: string[] | undefined): Reply {
    const [, uuid = '', below = ''] = /^\/images\/([0-9a-f-]{36})(\/file)?$/.exec(path) ?? []
    if (uuid === '') return restError(404, 'ResourceNotFound', `${path} does not exist`)
    const channel = query.get('channel') ?? channels?.[0]
    if (channels && !(channel === '*' && method === 'GET') && !channels.includes(channel ?? '')) {
      return restError(422, 'ValidationFailed', `unknown channel: ${channel}`, {
        errors: [{ field: 'channel', code: 'Invalid' }],
      })
    }
    const action = query.get('action')
    if (method === 'POST' && action === 'import') {
      return this.#import(uuid, body, channels && [channel!])
    }
    const image = this.images.get(uuid)
    if (!image || (image.channels && channel !== '*' && !image.channels.includes(channel!))) {
      return notFound
    }
    const all = () => ({ status: 200, body: this.#serialized(image) })
    if (method === 'GET' && below === '') return all()
    if (method === 'PUT' && below === '/file') return this.#addFile(image, query, body) ?? all()
    if (method === 'DELETE' && below === '') {
      this.images.delete(uuid)
      return { status: 204 }
    }
    if (method === 'POST' && action === 'activate') {
      if (image.state !== 'unactivated') {
        return restError(422, 'ImageAlreadyActivated', `image "${uuid}" is already activated`)
      }
      if (image.files.length === 0) {
        return restError(
          422,
          'NoActivationNoFile',
          `image "${uuid}" cannot be activated: it has no file`,
        )
      }
      image.state = 'active'
      return all()
    }
    return invalid(`"${action}" is not a valid action`, 'action')
  }

  #import(uuid: string, body: Buffer, channels: string[] | undefined): Reply {
    const data = JSON.parse(body.toString()) as Record<string, unknown>
    if (data['uuid'] !== uuid) {
      return invalid(
        `URL UUID, "${uuid}" and body UUID, "${String(data['uuid'])}" do not match`,
        'uuid',
      )
    }
    const there = this.images.get(uuid)
    if (there && there.state !== 'creating') {
      return restError(409, 'ImageUuidAlreadyExists', `image uuid "${uuid}" already exists`)
    }
    const extra = Object.keys(data).filter((field) => !FIELDS.includes(field))
    if (extra.length > 0) {
      return restError(
        422,
        'InvalidParameter',
        `invalid extra parameters: "${extra.join('", "')}"`,
        {
          errors: extra.map((field) => ({ field, code: 'Invalid' })),
        },
      )
    }
    const { files: _, state: __, channels: ___, ...manifest } = data
    const raw = { ...manifest, activated: false, state: 'unactivated' }
    const complaints = imgmanifest.validateDcManifest(raw) ?? []
    if (complaints.length > 0) {
      return restError(422, 'ValidationFailed', 'Validation of parameters failed', {
        errors: complaints,
      })
    }
    const image: Image = { manifest, state: 'unactivated', channels, files: [] }
    this.images.set(uuid, image)
    return { status: 200, body: this.#serialized(image) }
  }

  #addFile(image: Image, query: URLSearchParams, body: Buffer): Reply | undefined {
    if (image.state !== 'unactivated') {
      const uuid = String(image.manifest['uuid'])
      return restError(422, 'ImageFilesImmutable', `cannot modify files on activated image ${uuid}`)
    }
    const compression = query.get('compression') ?? ''
    if (!['gzip', 'bzip2', 'xz', 'none'].includes(compression)) {
      return invalid(`invalid compression "${compression}"`, 'compression')
    }
    const sha1 = digest('sha1', body)
    const wanted = query.get('sha1')
    if (wanted !== null && wanted !== sha1) {
      const said = `"sha1" hash, ${wanted}, does not match the uploaded file sha1 hash, ${sha1}`
      return restError(400, 'Download', said)
    }
    const guid = query.get('dataset_guid')
    image.files = [{ sha1, size: body.length, compression, ...(guid && { dataset_guid: guid }) }]
    return undefined
  }

  #serialized({ manifest, state, channels, files }: Image) {
    return { ...manifest, state, files, ...(channels && { channels }) }
  }
}
