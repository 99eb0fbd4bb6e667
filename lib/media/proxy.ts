/**
 * Which proxy a request goes through, for messages: what is done is curl's business, and this says it as curl
 * does (lower-case http_proxy only, either case of the others).
 */

type Environment = Readonly<Record<string, string | undefined>>

/** Whether no_proxy has the host: itself, its domain, or everything. */
function isExempt(host: string, list: string): boolean {
  const names = list.split(/[\s,]+/).filter(Boolean)
  return names.some((name) => {
    const bare = name.replace(/^\*?\./, '').toLowerCase()
    return name === '*' || host === bare || host.endsWith(`.${bare}`)
  })
}

/** The proxy for an address, or undefined. */
export function proxyFor(address: string, env: Environment): string | undefined {
  const { protocol, hostname } = new URL(address)
  const either = (name: string) => env[name] || env[name.toUpperCase()]
  if (isExempt(hostname, either('no_proxy') ?? '')) return undefined
  const own = protocol === 'https:' ? either('https_proxy') : env['http_proxy']
  return own || either('all_proxy') || undefined
}

/**
 * Whether a proxy has answered, and says no.
 *
 * @param connect its status for a way to the server, as curl's http_connect has it: 000 for none
 * @param said curl's words; 407 comes from proxies alone
 */
export const isRefusal = (connect: string, said: string) =>
  /^[45]\d\d$/.test(connect.trim()) || /error: 407\b/.test(said)
