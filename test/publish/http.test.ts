import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import http, { type RequestListener } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exchange } from '../../lib/publish/http.ts'
import { proxyFor } from '../../lib/publish/proxy.ts'
import { rateText, transferReport } from '../../lib/publish/rate.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const listening = async (server: http.Server | net.Server) => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

async function withServer(answer: RequestListener, use: (url: URL) => Promise<unknown>) {
  const server = http.createServer(answer)
  const url = new URL(`http://127.0.0.1:${await listening(server)}/`)
  try {
    await use(url)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const PUT = { method: 'PUT', headers: {}, idleMs: 5000 } as const

const sending = suite('exchange()')
sending('sends a file whole, and an empty one', () =>
  inTemporaryDir((dir) =>
    withServer(
      (request, response) => {
        let bytes = 0
        request.on('data', (piece: Buffer) => (bytes += piece.length))
        request.on('end', () => response.end(`${bytes} of ${request.headers['content-length']}`))
      },
      async (url) => {
        for (const bytes of [0, 3_000_000]) {
          const path = join(dir, 'file')
          await writeFile(path, Buffer.alloc(bytes))
          const { text } = await exchange({ ...PUT, url, body: { path, bytes } })
          assert.is(text, `${bytes} of ${bytes}`)
        }
      },
    ),
  ),
)
sending('hears a refusal that comes while it sends', () =>
  inTemporaryDir(async (dir) => {
    // Says no when it has seen a part, and reads no further, as a proxy does.
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (data) => {
        if (data.includes('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n')
        else {
          socket.pause()
          socket.write('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nno\n')
        }
      })
    })
    const url = new URL(`http://127.0.0.1:${await listening(server)}/`)
    const path = join(dir, 'file')
    const bytes = 64 * 1024 ** 2
    await writeFile(path, Buffer.alloc(bytes))
    let sent = 0
    const request = { ...PUT, url, body: { path, bytes }, onSent: (now: number) => (sent = now) }
    assert.is((await exchange(request)).status, 413)
    assert.ok(sent < bytes)
    server.close()
  }),
)
sending('does not wait for ever for a word to go on', () =>
  inTemporaryDir(async (dir) => {
    // A server that knows nothing of Expect.
    const server = net.createServer((socket) => {
      socket.on('data', (data) => {
        if (data.includes('hello')) socket.end('HTTP/1.1 204 No Content\r\n\r\n')
      })
    })
    const url = new URL(`http://127.0.0.1:${await listening(server)}/`)
    const path = join(dir, 'file')
    await writeFile(path, 'hello')
    assert.is((await exchange({ ...PUT, url, body: { path, bytes: 5 } })).status, 204)
    server.close()
  }),
)
sending('minds a file that changes while it is sent, and one that is not there', () =>
  inTemporaryDir((dir) =>
    withServer(
      (request, response) => request.resume().on('end', () => response.end()),
      async (url) => {
        const path = join(dir, 'file')
        const put = (bytes: number) => refusal(exchange({ ...PUT, url, body: { path, bytes } }))
        assert.match(await put(5), /Cannot read ".*file": no such file/)
        await writeFile(path, 'hello')
        assert.match(await put(4), /it changed meanwhile/)
        assert.match(await put(6), /it changed meanwhile/)
      },
    ),
  ),
)
sending.run()

const proxies = suite('proxyFor()')
for (const [url, env, expected] of [
  ['http://a.example.com/', {}, undefined],
  ['http://a.example.com/', { http_proxy: 'http://p:3128' }, 'http://p:3128/'],
  ['http://a.example.com/', { HTTP_PROXY: 'p:3128' }, 'http://p:3128/'],
  ['http://a.example.com/', { https_proxy: 'http://p:3128' }, undefined],
  ['https://a.example.com/', { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128/'],
  ['http://a.example.com/', { http_proxy: 'http://p', no_proxy: '*' }, undefined],
  ['http://a.example.com/', { http_proxy: 'http://p', no_proxy: 'x, example.com' }, undefined],
  ['http://a.example.com/', { http_proxy: 'http://p', NO_PROXY: '.example.com' }, undefined],
  ['http://a.example.com/', { http_proxy: 'http://p', no_proxy: 'ample.com' }, 'http://p/'],
  ['http://127.0.0.1:8080/', { http_proxy: 'http://p', no_proxy: '127.0.0.1:80' }, 'http://p/'],
  ['http://127.0.0.1:8080/', { http_proxy: 'http://p', no_proxy: '127.0.0.1:8080' }, undefined],
] as const) {
  proxies(`${url} with ${JSON.stringify(env)}`, () => {
    assert.is(proxyFor(new URL(url), env)?.href, expected)
  })
}
proxies('is what a request takes, with its own user and password', async () => {
  const asked: string[] = []
  const before = process.env['http_proxy']
  await withServer(
    (request, response) => {
      asked.push(`${request.url} ${request.headers.host} ${request.headers['proxy-authorization']}`)
      response.end('through')
    },
    async (proxy) => {
      process.env['http_proxy'] = `http://me:s%20t@${proxy.host}`
      try {
        const url = new URL('http://imgapi.example.com/ping')
        const { text } = await exchange({ method: 'GET', url, headers: {}, idleMs: 5000 })
        assert.is(text, 'through')
      } finally {
        if (before === undefined) delete process.env['http_proxy']
        else process.env['http_proxy'] = before
      }
    },
  )
  const words = Buffer.from('me:s t').toString('base64')
  assert.equal(asked, [`http://imgapi.example.com/ping imgapi.example.com Basic ${words}`])
})
proxies('opens a tunnel for TLS, and tells when it may not', async () => {
  const asked: string[] = []
  const server = http.createServer()
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  const before = process.env['https_proxy']
  process.env['https_proxy'] = `http://127.0.0.1:${await listening(server)}`
  try {
    const url = new URL('https://imgapi.example.com/ping')
    const said = await refusal(exchange({ method: 'GET', url, headers: {}, idleMs: 5000 }))
    assert.match(said, /Cannot reach imgapi\.example\.com:443: the proxy .* answered 403/)
    assert.equal(asked, ['imgapi.example.com:443'])
  } finally {
    if (before === undefined) delete process.env['https_proxy']
    else process.env['https_proxy'] = before
    server.close()
  }
})
proxies.run()

const rates = suite('transferReport()')
rates('tells the rate of the last seconds, not of the whole', () => {
  let now = 0
  let note = ''
  const sent = transferReport(
    100 * 1024 ** 2,
    (_, text = '') => (note = text),
    () => now,
  )
  for (let second = 1; second <= 20; second++) {
    now = second * 1000
    sent((second <= 10 ? second : 10 + (second - 10) * 2) * 1024 ** 2)
  }
  assert.is(note, '30.0 of 100.0 MiB, 2.0 MiB/s')
  assert.is(rateText(3 * 1024 ** 2, 2000), '1.5 MiB/s')
})
rates.run()
