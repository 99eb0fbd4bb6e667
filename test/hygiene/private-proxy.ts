/** A proxy and a mirror in one, both with passwords, in front of this machine's own mirror. */
import { createServer, globalAgent, type IncomingMessage, request as ask } from 'node:http'
import { globalAgent as globalTlsAgent, request as askTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import { machineMirrors } from '../live.ts'

export const SECRETS = { proxy: 's3cret-of-the-pr0xy', mirror: 's3cret-of-the-m1rror' } as const

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** @returns its words for create-image-debian, and how often each was asked with the right password */
export async function startPrivateProxy() {
  const [, main, , security] = machineMirrors()
  if (main === undefined) throw new Error('This machine has no mirror in its apt sources')
  const upstream = new Map([
    ['/debian-security', security ?? 'http://security.debian.org/debian-security'],
    ['/debian', main],
  ])
  const asked = { proxy: 0, mirror: 0 }
  /** Where a request goes on to; undefined: it has not the right password. */
  const targetOf = ({ url = '', headers }: IncomingMessage, port: number): URL | undefined => {
    const address = new URL(url, `http://127.0.0.1:${port}`)
    if (/^http:/.test(url)) {
      if (headers['proxy-authorization'] !== basic('me', SECRETS.proxy)) return undefined
      asked.proxy += 1
    }
    if (address.port !== String(port)) return address
    if (headers.authorization !== basic('you', SECRETS.mirror)) return undefined
    asked.mirror += 1
    const [below, site] = [...upstream].find(([path]) => address.pathname.startsWith(`${path}/`))!
    return new URL(`${site.replace(/\/$/, '')}${address.pathname.slice(below.length)}`)
  }
  const server = createServer((request, answer) => {
    const { port } = server.address() as AddressInfo
    const target = targetOf(request, port)
    if (!target) {
      answer.writeHead(/^http:/.test(request.url ?? '') ? 407 : 401).end()
      return
    }
    const { authorization: _, 'proxy-authorization': __, host: ___, ...headers } = request.headers
    const further = target.protocol === 'https:' ? askTls : ask
    const outgoing = further(target, { headers: { ...headers, host: target.host } }, (found) => {
      answer.writeHead(found.statusCode ?? 502, found.headers)
      found.pipe(answer)
    })
    outgoing.on('error', () => answer.destroy()).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    words: [
      ...['--proxy', `http://me:${SECRETS.proxy}@${place}`],
      ...['--mirror', `http://you:${SECRETS.mirror}@${place}/debian`],
      ...['--security-mirror', `http://you:${SECRETS.mirror}@${place}/debian-security`],
    ],
    asked,
    close() {
      server.closeAllConnections()
      server.close()
      // Answers that nobody reads any more would keep the test from its end.
      globalAgent.destroy()
      globalTlsAgent.destroy()
    },
  }
}
