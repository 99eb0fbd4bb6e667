/** Whatever a server, a proxy or an agent answers: what was wanted, or a line for the operator. */
import { writeFile } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import sshpk from 'sshpk'
import { exchange } from '../../lib/publish/http.ts'
import { ImgapiClient } from '../../lib/publish/imgapi-client.ts'
import { isPublished } from '../../lib/publish/imgapi-image.ts'
import { maasApi, parseJson, refused, wordsOf } from '../../lib/publish/maas-api.ts'
import { authorization, parseKeyFile, readKey } from '../../lib/publish/maas-key.ts'
import { findResource, resourceOf } from '../../lib/publish/maas-resource.ts'
import { MantaClient } from '../../lib/publish/manta-client.ts'
import { encodedPath, fullPath, isNewer } from '../../lib/publish/manta-layout.ts'
import { proxyFor, throughProxy } from '../../lib/publish/proxy.ts'
import type { Server } from '../../lib/publish/server.ts'
import { parseServerUrl, parseUser } from '../../lib/publish/server-options.ts'
import { agentKeys, agentSign } from '../../lib/publish/ssh-agent.ts'
import { findSigningKey } from '../../lib/publish/ssh-key.ts'
import {
  anyBytes,
  anyJson,
  anyText,
  changedJson,
  damaged,
  fc,
  holds,
  isLine,
  soon,
  told,
} from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'

const SHA1 = 'cd'.repeat(20)
const UUID = '00000000-0000-0000-0000-000000000001'
const image = { state: 'active', channels: ['dev'], files: [{ sha1: SHA1, size: 5 }] }
const resource = {
  id: 3,
  name: 'custom/x',
  architecture: 'amd64/generic',
  sets: {
    '20260508': {
      files: {
        x: {
          filetype: 'root-tgz',
          sha256: 'ab',
          size: 5,
          complete: true,
          progress: 100,
          upload_uri: '/MAAS/api/2.0/x/',
        },
      },
    },
  },
}

/** A body of JSON, of a page, or of nothing that is known. */
const someBody = fc.oneof(
  changedJson(image).map((value) => JSON.stringify(value)),
  changedJson({ code: 'InvalidArgument', message: 'no\x1b[2J', errors: [{ field: 'name' }] }).map(
    (value) => JSON.stringify(value),
  ),
  fc
    .array(
      fc.constantFrom('<html>', '<', '>', '<style>', '</style>', 'no such\nthing', '\x1b[2J', '\0'),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
  anyJson().map((value) => JSON.stringify(value)),
  anyText(30),
)
const someStatus = fc.oneof(
  fc.constantFrom(200, 204, 301, 400, 401, 404, 409, 422, 500, 503),
  fc.integer({ min: 101, max: 999 }),
)
const someHeader = fc.constantFrom(
  '',
  'location: http://other/\r\n',
  'content-type: application/json; type=directory\r\n',
  'computed-md5: ////\r\n',
  'content-md5: x\r\n',
  'content-length: 99\r\n',
  'transfer-encoding: chunked\r\n',
  'x\r\n',
)

/** What stands on the wire: an answer in the form of one, or bytes. */
const someAnswer = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(someStatus, someHeader, someBody)
      .map(([status, header, body]) =>
        Buffer.from(`HTTP/1.1 ${status} Whatever\r\n${header}\r\n${body}`),
      ),
  },
  { weight: 1, arbitrary: anyBytes(60) },
  { weight: 2, arbitrary: damaged(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')) },
)

/** One of IMGAPI, as it is but for a value or two. */
const someImage = changedJson(image).map((value) =>
  Buffer.from(`HTTP/1.1 200 OK\r\n\r\n${JSON.stringify(value)}`),
)

/** A server that says the same to everybody, and closes. */
async function speaking<T>(
  use: (port: number, say: (bytes: Buffer) => void) => Promise<T>,
): Promise<T> {
  let answer: Buffer = Buffer.alloc(0)
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => {}))
    socket.once('data', () => socket.end(answer))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  try {
    return await use((server.address() as AddressInfo).port, (bytes) => (answer = bytes))
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((done) => server.close(done))
  }
}

const serverAt = (port: number): Server => ({
  title: 'IMGAPI',
  url: new URL(`http://127.0.0.1:${port}`),
  signature: undefined,
  headers: {},
  pauseMs: 0,
  idleMs: 2000,
})

const wire = suite('answers of a server')
wire('are an image of IMGAPI, or refused in a line', () =>
  speaking((port, say) =>
    holds(100, fc.oneof(someImage, someAnswer), async (bytes) => {
      say(bytes)
      const client = new ImgapiClient(serverAt(port), undefined)
      const error = await told(async () => {
        const there = await client.get(UUID)
        if (!there) return
        assert.match(there.state, /^\w+$/)
        assert.ok(
          there.channels === undefined ||
            there.channels.every(isLine) ||
            there.channels.includes(''),
        )
        assert.ok(there.file === undefined || /^[0-9a-f]{40}$/.test(there.file.sha1))
        const own = { uuid: UUID, file: { sha1: SHA1, bytes: 5 } } as Parameters<
          typeof isPublished
        >[1]
        isPublished(there, own, 'dev', new URL('http://x/'))
      })
      if (error) assert.ok(isLine(error.message) && error.message.length < 2000, error.message)
      const importing = await told(() => client.import(UUID, { name: 'x' }))
      if (importing) assert.ok(isLine(importing.message), importing.message)
    }),
  ),
)
wire('are an entry of Manta, or refused in a line', () =>
  speaking((port, say) =>
    holds(40, someAnswer, async (bytes) => {
      say(bytes)
      const client = new MantaClient(serverAt(port))
      for (const work of [
        async () => {
          const there = await client.look('/a/stor/x')
          if (there?.kind === 'object' && there.md5 !== undefined)
            assert.match(there.md5, /^[0-9a-f]*$/)
        },
        () => client.makeDirectory('/a/stor/x'),
        () => client.put('/a/stor/x', 'text', '00'.repeat(16)),
      ]) {
        const error = await told(work)
        if (error) assert.ok(isLine(error.message), error.message)
      }
    }),
  ),
)
wire('without an end are not waited for', () =>
  soon(async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1 << 16, '<')));
      }
      socket.on('drain', more)
      socket.once('data', more)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    try {
      const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      const { text } = await exchange({ method: 'GET', url, headers: {}, idleMs: 2000 })
      assert.ok(text.length < 2 ** 21)
    } finally {
      server.close()
    }
  }),
)
wire('are read in time that grows with them', async () => {
  for (const piece of ['<', '<a', '<script>', '<style', '{"a":', '[', '\n', ' ', 'a']) {
    const text = piece.repeat(Math.ceil(300_000 / piece.length))
    await soon(() => wordsOf(text))
    await speaking((port, say) => {
      say(Buffer.from(`HTTP/1.1 400 No\r\n\r\n${text}`))
      return soon(async () => {
        const error = await told(() => new ImgapiClient(serverAt(port), undefined).get(UUID))
        assert.match(error!.message, /refused GET/)
      })
    })
  }
})
wire.run()

const maas = suite('answers of MAAS')
maas('are a boot resource, or none', () =>
  holds(
    250,
    fc.oneof({ weight: 4, arbitrary: changedJson(resource) }, anyJson()),
    async (value) => {
      await told(() => {
        const { id, files } = resourceOf(value, 'http://maas')
        assert.type(id, 'number')
        for (const file of files) {
          assert.type(file.filetype, 'string')
          assert.type(file.size, 'number')
          assert.type(file.complete, 'boolean')
        }
      })
    },
  ),
)
maas('are refused in a line', () =>
  holds(250, fc.tuple(someStatus, someBody, fc.boolean()), async ([status, text, passing]) => {
    const { message, hint } = refused('list', 'http://maas', { status, text, passing })
    assert.ok(isLine(message) && message.length < 400, message)
    assert.ok(hint === undefined || isLine(hint))
    await told(() => parseJson('list', 'http://maas', text))
  }),
)
maas('come as they come', () =>
  inTemporaryDir((dir) =>
    speaking((port, say) =>
      holds(
        12,
        fc.tuple(someAnswer, fc.constantFrom('[', '//[', 'http://[', 'x', '/y', '\0')),
        async ([bytes, path]) => {
          say(bytes)
          const api = maasApi(
            `http://127.0.0.1:${port}/MAAS`,
            { consumer: 'a', token: 'b', secret: 'c' },
            dir,
            1,
          )
          const wanted = { name: 'custom/x', architecture: 'amd64/generic' }
          const error = await told(() => findResource(api, wanted))
          if (error) assert.ok(isLine(error.message), error.message)
          const other = await told(() => api.request('PUT', path))
          if (other) assert.ok(isLine(other.message), other.message)
        },
      ),
    ),
  ),
)
maas('are asked for with a key, or none is read', () =>
  inTemporaryDir((dir) =>
    holds(
      100,
      fc.oneof(anyText(20), fc.stringMatching(/^[a-z%!']{1,4}:[a-z]{1,4}:[a-z*()]{1,4}\n?$/)),
      async (text) => {
        const path = join(dir, 'key')
        await writeFile(path, text)
        const error = await told(async () => {
          const field = authorization(await readKey(path, {}))
          assert.match(field, /^OAuth (\w+="[\w.~%-]*"(, |$))+$/)
        })
        if (error && text.trim().length > 3) assert.ok(!error.message.includes(text.trim()))
        await told(() => parseKeyFile(text))
      },
    ),
  ),
)
maas.run()

const ways = suite('ways to a server')
ways('lead somewhere, or are refused', () =>
  holds(
    250,
    fc.tuple(
      fc.oneof(
        anyText(12),
        fc.constantFrom(
          'http://u%er:p%zz@proxy:1',
          'http://[',
          'proxy:3128',
          'https://x',
          '::',
          '%',
        ),
      ),
      anyText(12),
    ),
    async ([proxy, exempt]) => {
      const url = new URL('http://images.example.com/x')
      await told(() => {
        const way = proxyFor(url, { http_proxy: proxy, no_proxy: exempt })
        assert.ok(way === undefined || way.protocol === 'http:')
      })
      await told(() => parseServerUrl(proxy))
      await told(() => assert.ok(isLine(parseUser(proxy))))
      await told(() => {
        const path = fullPath(proxy, 'account')
        assert.match(path, /^\/[^/]+\/(stor|public)\/./s)
        assert.not.match(path, /\/\.\.?(\/|$)/)
        assert.match(encodedPath(Buffer.from(path).toString()), /^[\w/%.~!*'()-]*$/)
      })
      assert.type(isNewer(proxy, 'main-20260508T000000Z-0123456789ab'), 'boolean')
    },
  ),
)
ways('have the name and password of a proxy as they were meant', async () => {
  const before = process.env['http_proxy']
  try {
    for (const [address, words] of [
      ['http://u%20x:p@proxy:1', 'u x:p'],
      ['http://u%er:p%zz@proxy:1', 'u%er:p%zz'],
    ]) {
      process.env['http_proxy'] = address
      const { headers } = await throughProxy(new URL('http://images.example.com/'), undefined)
      const field = (headers as Record<string, string>)['proxy-authorization']!
      assert.is(Buffer.from(field.replace('Basic ', ''), 'base64').toString(), words)
    }
  } finally {
    if (before === undefined) delete process.env['http_proxy']
    else process.env['http_proxy'] = before
  }
})
ways.run()

const key = sshpk.generatePrivateKey('ed25519')
const blob = key.toPublic().toBuffer('rfc4253')
const field = (bytes: Buffer) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
const identities = field(
  Buffer.concat([Buffer.from([12, 0, 0, 0, 1]), field(blob), field(Buffer.from('me'))]),
)
const signature = field(
  Buffer.concat([
    Buffer.from([14]),
    field(Buffer.concat([field(Buffer.from('ssh-ed25519')), field(Buffer.alloc(64, 1))])),
  ]),
)

const agents = suite('keys')
agents('of an agent that says anything are keys, or none', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'agent')
    let answer: Buffer = Buffer.alloc(0)
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(answer))
    })
    await new Promise<void>((done) => server.listen(path, done))
    try {
      await holds(
        80,
        fc.oneof(damaged(identities), damaged(signature), anyBytes(40)),
        async (bytes) => {
          answer = bytes
          for (const work of [
            async () => assert.ok((await agentKeys(path)).every((one) => one.blob.length > 0)),
            () => agentSign(path, { key: key.toPublic(), blob }, 'text'),
          ]) {
            const error = await told(work)
            if (error) assert.ok(isLine(error.message), error.message)
          }
        },
      )
    } finally {
      await new Promise((done) => server.close(done))
    }
  }),
)
agents('in a file of any content are keys, or none', () =>
  inTemporaryDir((dir) =>
    holds(
      60,
      fc.oneof(
        damaged(Buffer.from(key.toString('openssh'))),
        damaged(Buffer.from(key.toPublic().toString('ssh'))),
        fc
          .constantFrom('-----BEGIN RSA PRIVATE KEY-----\n', 'ssh-rsa AAAA\n', 'PRIVATE KEY')
          .map((text) => Buffer.from(text)),
        anyBytes(60),
      ),
      async (bytes) => {
        const path = join(dir, 'id')
        await writeFile(path, bytes)
        await told(() => findSigningKey(path, { HOME: dir }))
      },
    ),
  ),
)
agents.run()
