/**
 * The way to a server: straight, or through the proxy that the environment names (http_proxy, https_proxy,
 * no_proxy, in either case). Plain requests are handed to the proxy; for TLS it opens a tunnel, and sees nothing.
 */
import type { RequestOptions } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { BuildError, UsageError } from '../cli/errors.ts'

const CONNECT_MS = 30_000

/** Named by no_proxy: `*`, a host, or a domain with all that is below it; with a port, that one only. */
function excepted({ hostname, port, protocol }: URL, list: string): boolean {
  const own = port || (protocol === 'https:' ? '443' : '80')
  return list
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((one) => {
      const [, name = '', onPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(one) ?? []
      if (onPort !== undefined && onPort !== own) return false
      return one === '*' || hostname === name || hostname.endsWith(`.${name}`)
    })
}

/** The proxy for an address, where there is one. @throws {UsageError} when it is no http address */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv = process.env): URL | undefined {
  const either = (name: string) => env[name] || env[name.toUpperCase()]
  const proxy = either(url.protocol === 'https:' ? 'https_proxy' : 'http_proxy')
  if (!proxy || excepted(url, either('no_proxy') ?? '')) return undefined
  const full = /:\/\//.test(proxy) ? proxy : `http://${proxy}`
  if (URL.canParse(full) && new URL(full).protocol === 'http:') return new URL(full)
  throw new UsageError(`Cannot use proxy "${proxy}": it has to be an http:// address`)
}

/** As it is where what stands behind a % is no character: it was meant so. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '') return {}
  const words = `${decoded(username)}:${decoded(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(words).toString('base64')}` }
}

/** What a request to an address needs for its way. @throws {BuildError} when the proxy refuses */
export async function throughProxy(
  url: URL,
  signal: AbortSignal | undefined,
): Promise<RequestOptions> {
  const proxy = proxyFor(url)
  if (!proxy) return {}
  const to = { hostname: proxy.hostname, port: proxy.port || 80 }
  if (url.protocol === 'http:') return { ...to, path: url.href, headers: authorization(proxy) }
  const socket = await tunnel({ ...to, headers: authorization(proxy) }, url, signal)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // An address has no server name, but its certificate is compared all the same.
  const name = isIP(host) ? {} : { servername: host }
  const { connect } = await import('node:tls')
  return { createConnection: () => connect({ socket, host, ...name }) }
}

async function tunnel(
  proxy: RequestOptions,
  url: URL,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const { request: open } = await import('node:http')
  const path = `${url.hostname}:${url.port || 443}`
  return new Promise((resolve, reject) => {
    const request = open({
      ...proxy,
      method: 'CONNECT',
      path,
      timeout: CONNECT_MS,
      ...(signal && { signal }),
    })
    request.on('connect', ({ statusCode }, socket: Socket) => {
      if (statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(
        new BuildError(`Cannot reach ${path}: the proxy ${proxy.hostname} answered ${statusCode}`, {
          hint: 'Check https_proxy and no_proxy',
        }),
      )
    })
    request.on('timeout', () => request.destroy(new Error('the proxy does not answer')))
    request.on('error', reject)
    request.end()
  })
}
