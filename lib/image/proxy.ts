/** The proxy of a build. */
import { parseUrl } from '../cli/options.ts'

export const proxyOption = {
  arg: 'URL',
  parse: parseUrl,
  env: ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'],
  help: 'proxy for the build; leaves no trace in the image',
} as const

/** Both spellings are read by programs in the wild; NO_PROXY goes along. */
export function proxyVariables(
  proxy: string | undefined,
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  if (proxy === undefined) return {}
  const none = env['no_proxy'] || env['NO_PROXY']
  const https = env['https_proxy'] || env['HTTPS_PROXY'] || proxy
  return {
    http_proxy: proxy,
    HTTP_PROXY: proxy,
    https_proxy: https,
    HTTPS_PROXY: https,
    ...(none && { no_proxy: none, NO_PROXY: none }),
  }
}
