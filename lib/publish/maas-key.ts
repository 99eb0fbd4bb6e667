/**
 * API keys of MAAS, `consumer:token:secret`, and the signature that each request has: OAuth 1.0, PLAINTEXT,
 * with a time and a number used once. MAAS refuses times that are more than five minutes away, so that a
 * signature is made for one request and thrown away.
 *
 * Source: RFC 5849, 3.1 and 3.4.4; the API's documentation, "API authentication".
 */
import { randomUUID } from 'node:crypto'
import { UsageError } from '../cli/errors.ts'
import { readSmallInput } from '../cli/small-file.ts'

export type MaasKey = { consumer: string; token: string; secret: string }

const WHERE =
  'It is in the web interface below your name, API keys, or: maas apikey --username NAME'

/** Three words; they are not repeated in messages, whatever they are. */
function parseKey(text: string, from: string): MaasKey {
  const [, consumer, token, secret] = /^([^:\s]+):([^:\s]+):([^:\s]+)$/.exec(text.trim()) ?? []
  if (consumer && token && secret) return { consumer, token, secret }
  throw new UsageError(
    `Cannot read the MAAS API key in ${from}: it is not three words with : between`,
    {
      hint: WHERE,
    },
  )
}

/** What `--api-key` names. @throws {UsageError} when it is the key itself: others can read command lines */
export function parseKeyFile(text: string): string {
  if (!/^[^:\s/]+:[^:\s/]+:[^:\s/]+$/.test(text)) return text
  throw new UsageError('Cannot take a key as --api-key: it names the file that has the key', {
    hint: 'Write the key into a file that only you can read, or into $MAAS_API_KEY',
  })
}

/**
 * The key in a file, else in $MAAS_API_KEY.
 *
 * @throws {UsageError} when there is none, or it is none
 */
export async function readKey(file: string | undefined, env = process.env): Promise<MaasKey> {
  if (file !== undefined) {
    const text = await readSmallInput(file, `the MAAS API key in "${file}"`)
    return parseKey(String(text), `"${file}"`)
  }
  const key = env['MAAS_API_KEY']
  if (key) return parseKey(key, '$MAAS_API_KEY')
  throw new UsageError('Missing --api-key FILE, or the key in $MAAS_API_KEY', { hint: WHERE })
}

/** As RFC 3986 has it: encodeURIComponent leaves five characters that OAuth wants encoded. */
const encode = (text: string) =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** The value of the field `Authorization` of one request. */
export function authorization(
  { consumer, token, secret }: MaasKey,
  { now = Date.now(), nonce = randomUUID() }: { now?: number; nonce?: string } = {},
): string {
  const fields = {
    oauth_version: '1.0',
    oauth_signature_method: 'PLAINTEXT',
    oauth_consumer_key: consumer,
    oauth_token: token,
    // The consumer's secret, which MAAS leaves empty, and the token's.
    oauth_signature: `&${encode(secret)}`,
    oauth_timestamp: String(Math.floor(now / 1000)),
    oauth_nonce: nonce,
  }
  const written = Object.entries(fields).map(([name, value]) => `${name}="${encode(value)}"`)
  return `OAuth ${written.join(', ')}`
}
