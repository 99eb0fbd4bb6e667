/** Downloads with curl, from HTTP servers on the loopback that behave as servers do. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { BuildError } from '../../lib/cli/errors.ts'
import { fetchFile, type FetchOptions } from '../../lib/media/fetch.ts'
import { refusal } from '../refusal.ts'
import { needPackages } from '../live.ts'

needPackages({ curl: 'curl' })

const BODY = Buffer.alloc(3 * 1024 ** 2)
for (let i = 0; i < BODY.length; i++) BODY[i] = (i * 7 + (i >> 10)) % 256

type Answer = (request: IncomingMessage, response: ServerResponse, number: number) => void

/** Fetch from a server that answers like this; its requests, and the directory afterwards. */
async function fetched(answer: Answer, options: FetchOptions & { times?: number } = {}) {
  const dir = await mkdtemp('/tmp/fetch-')
  const requests: { url: string; range: string | undefined; ifRange: string | undefined }[] = []
  const server = createServer((request, response) => {
    const { range, 'if-range': ifRange } = request.headers
    requests.push({ url: request.url!, range, ifRange: ifRange as string | undefined })
    answer(request, response, requests.length)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const path = join(dir, 'below', 'media.iso')
  let error: unknown
  try {
    for (let i = 0; i < (options.times ?? 1); i++) {
      error = await fetchFile(`http://127.0.0.1:${port}/media.iso`, path, {
        pauseMs: 10,
        attempts: 3,
        stallSeconds: 2,
        ...options,
        env: { no_proxy: '*', ...options.env },
      }).then(
        () => undefined,
        (reason: unknown) => reason,
      )
    }
    const content = await readFile(path).catch(() => undefined)
    const names = await readdir(join(dir, 'below'))
    if (error !== undefined) assert.instance(error, BuildError)
    return { requests, content, names, message: (error as Error | undefined)?.message ?? '', port }
  } finally {
    server.closeAllConnections()
    server.close()
    await rm(dir, { recursive: true })
  }
}

/** A server that knows ranges; `limit` bytes go out before the line breaks. */
const withRanges =
  (limits: number[], tag: (number: number) => string = () => '"v1"', body = () => BODY): Answer =>
  (request, response, number) => {
    const etag = tag(number)
    const whole = body()
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const same = from > 0 && request.headers['if-range'] === etag
    const part = same ? whole.subarray(from) : whole
    response.writeHead(same ? 206 : 200, {
      etag,
      'content-length': part.length,
      ...(same && { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` }),
    })
    const limit = limits[number - 1]
    if (limit === undefined) response.end(part)
    else response.write(part.subarray(0, limit), () => setTimeout(() => response.destroy(), 50))
  }

const fetching = suite('fetchFile()')
fetching('fetches a file, and leaves nothing beside it', async () => {
  const { content, names, requests } = await fetched(withRanges([]))
  assert.ok(content!.equals(BODY))
  assert.equal(names, ['media.iso'])
  assert.is(requests.length, 1)
})
fetching('goes on where the line broke', async () => {
  const { content, requests } = await fetched(withRanges([1_000_000, 1_000_000]))
  assert.ok(content!.equals(BODY))
  assert.is(requests.length, 3)
  const starts = requests.map(({ range }) => Number(/\d+/.exec(range ?? '0')![0]))
  assert.ok(starts[1]! > 0 && starts[2]! > starts[1]!, starts.join())
  assert.is(requests[1]!.ifRange, '"v1"')
})
fetching('goes on after a failed command, on the next one', async () => {
  const limits = [1_000_000, 500_000]
  const { content, requests } = await fetched(withRanges(limits), { attempts: 1, times: 3 })
  assert.ok(content!.equals(BODY))
  assert.is(requests.length, 3)
  assert.ok(requests[2]!.range)
})
fetching('starts anew when the file changed meanwhile', async () => {
  const changed = Buffer.from(BODY).fill(1, 0, 100)
  let number = 0
  const body = () => (++number > 1 ? changed : BODY)
  const { content } = await fetched(withRanges([1_000_000], (n) => `"v${n}"`, body))
  assert.ok(content!.equals(changed))
})
fetching('starts anew where a server knows no ranges', async () => {
  const { content, requests } = await fetched((_, response, number) => {
    response.writeHead(200, { 'content-length': BODY.length, etag: '"v1"' })
    if (number > 1) response.end(BODY)
    else response.write(BODY.subarray(0, 1_000_000), () => setTimeout(() => response.destroy(), 50))
  })
  assert.ok(content!.equals(BODY))
  assert.ok(requests.length <= 3)
})
fetching('does not continue what it can not identify', async () => {
  const { content, requests } = await fetched((_, response, number) => {
    response.writeHead(200, { 'content-length': BODY.length })
    if (number > 1) response.end(BODY)
    else response.write(BODY.subarray(0, 1_000_000), () => setTimeout(() => response.destroy(), 50))
  })
  assert.ok(content!.equals(BODY))
  assert.equal(
    requests.map(({ range }) => range),
    [undefined, undefined],
  )
})
fetching('follows a redirect, and continues behind it', async () => {
  const serve = withRanges([1_000_000])
  let number = 0
  const { content } = await fetched((request, response) => {
    if (request.url === '/media.iso') {
      response.writeHead(302, { location: '/mirror/media.iso', etag: '"of the redirect"' }).end()
    } else serve(request, response, ++number)
  })
  assert.ok(content!.equals(BODY))
})
fetching('says "404" with the address, and tries once', async () => {
  const page = '<html>Not here</html>'
  const { message, names, requests, port } = await fetched((_, response) =>
    response.writeHead(404).end(page),
  )
  assert.match(
    message,
    new RegExp(`^Cannot fetch http://127\\.0\\.0\\.1:${port}/media\\.iso: .*404`),
  )
  assert.equal(names, [])
  assert.is(requests.length, 1)
})
fetching('tries again when a server is busy', async () => {
  const { content, requests } = await fetched((_, response, number) =>
    number < 3 ? response.writeHead(503).end() : response.end(BODY),
  )
  assert.ok(content!.equals(BODY))
  assert.is(requests.length, 3)
})
fetching('gives up on a server that sends nothing more', async () => {
  const { message, requests } = await fetched(
    (_, response) => {
      response.writeHead(200, { 'content-length': BODY.length })
      response.write(BODY.subarray(0, 1000))
    },
    { attempts: 2 },
  )
  assert.match(message, /Cannot fetch .*(too slow|timed out|Less than)/i)
  assert.is(requests.length, 2)
})
fetching('says when nobody is there', async () => {
  const dir = await mkdtemp('/tmp/fetch-')
  const options = { pauseMs: 1, attempts: 2, env: { no_proxy: '*' } }
  const error = await fetchFile('http://127.0.0.1:9/x', join(dir, 'x'), options).catch(
    (reason: Error) => reason,
  )
  await rm(dir, { recursive: true })
  assert.match((error as Error).message, /^Cannot fetch http:\/\/127\.0\.0\.1:9\/x: .*connect/i)
})
fetching('goes through a proxy when told to', async () => {
  const seen: string[] = []
  const proxy = createServer((request, response) => {
    seen.push(request.url!)
    response.end('through the proxy')
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const { port } = proxy.address() as AddressInfo
  const dir = await mkdtemp('/tmp/fetch-')
  const env = { http_proxy: `http://127.0.0.1:${port}`, no_proxy: '' }
  await fetchFile('http://media.example/x', join(dir, 'x'), { env })
  proxy.close()
  assert.equal(seen, ['http://media.example/x'])
  assert.is(await readFile(join(dir, 'x'), 'utf8'), 'through the proxy')
  await rm(dir, { recursive: true })
})
fetching('says that a proxy refuses, once, or is not there', async () => {
  let asked = 0
  const proxy = createServer((_, response) => {
    asked += 1
    response.writeHead(407).end()
  })
  proxy.on('connect', (_request, socket) => {
    asked += 1
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const { port } = proxy.address() as AddressInfo
  const dir = await mkdtemp('/tmp/fetch-')
  const address = `http://127.0.0.1:${port}`
  const env = { http_proxy: address, https_proxy: address, no_proxy: '', NO_PROXY: '' }
  const fetch = (scheme: string) =>
    refusal(
      fetchFile(`${scheme}://media.example/x`, join(dir, 'x'), { env, pauseMs: 1, attempts: 2 }),
    )
  try {
    for (const scheme of ['http', 'https']) {
      const begins = `Cannot fetch ${scheme}://media.example/x: the proxy ${address} refuses it: `
      const message = await fetch(scheme)
      assert.ok(message.startsWith(begins), message)
    }
    assert.is(asked, 2)
  } finally {
    proxy.close()
  }
  assert.match(await fetch('http'), /: by way of the proxy http:\S+: Failed to connect to 127\.0/)
  await rm(dir, { recursive: true })
})
fetching('tells how far it is', async () => {
  const reports: (number | undefined)[] = []
  await fetched(
    (_, response) => {
      response.writeHead(200, { 'content-length': BODY.length })
      response.write(BODY.subarray(0, BODY.length / 2))
      setTimeout(() => response.end(BODY.subarray(BODY.length / 2)), 1700)
    },
    { report: (fraction) => reports.push(fraction) },
  )
  assert.ok(
    reports.some((fraction) => fraction !== undefined && fraction > 0.3 && fraction < 0.7),
    reports.join(),
  )
})
fetching.run()
