/** The proxy of a build. */
import { parseUrl } from '../cli/options.ts'

/** A proxy's address as programs take it, with its scheme or without. @throws {UsageError} when it is none */
export const parseProxy = (text: string): string =>
  parseUrl(/^\w+:\/\//.test(text) ? text : `http://${text}`)

export const proxyOption = {
  arg: 'URL',
  parse: parseProxy,
  env: ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'],
  help: 'proxy for the build; leaves no trace in the image',
} as const

/**
 * Both spellings are read by programs in the wild; NO_PROXY goes along.
 *
 * @throws {UsageError} when the environment has an address for https that is none
 */
export function proxyVariables(
  proxy: string | undefined,
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  if (proxy === undefined) return {}
  const none = env['no_proxy'] || env['NO_PROXY']
  const https = parseProxy(env['https_proxy'] || env['HTTPS_PROXY'] || proxy)
  return {
    http_proxy: proxy,
    HTTP_PROXY: proxy,
    https_proxy: https,
    HTTPS_PROXY: https,
    ...(none && { no_proxy: none, NO_PROXY: none }),
  }
}
