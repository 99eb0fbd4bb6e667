/**
 * The passwords that a build knows, as the bytes by which they would be found in an image: what addresses of
 * proxies, mirrors and media have in front of their host, and what machines of the build were given.
 *
 * What is compressed in the image (an initramfs, a git repository) keeps its bytes to itself.
 */
import { madeSecrets } from '../cli/secrets.ts'
import type { Recipe } from '../image/recipe.ts'

export type Secret = {
  /** For messages: `password of the proxy`. */
  what: string
  bytes: Buffer
}

/** Shorter words are found in any system, by chance. */
const SHORTEST = 8
const SHORTEST_ALONE = 10

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Of one address; none where it has no password. */
export function secretsIn(what: string, address: string): Secret[] {
  const [, inside] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)@/i.exec(address) ?? []
  const [, user, password] = /^([^:]*):(.+)$/.exec(inside ?? '') ?? []
  if (user === undefined || password === undefined) return []
  const pair = `${decoded(user)}:${decoded(password)}`
  const alone = decoded(password)
  const texts = [
    `//${inside}@`,
    // As programs keep it that take it apart, and as it is sent.
    ...(pair.length >= SHORTEST ? [pair, Buffer.from(pair).toString('base64')] : []),
    // A word of letters may be one of a dictionary.
    ...(alone.length >= SHORTEST_ALONE && /[^a-z]/i.test(alone) ? [alone] : []),
  ]
  return [...new Set(texts)].map((text) => ({ what, bytes: Buffer.from(text) }))
}

/** All of a recipe, and of the machines that ran. */
export function secretsOf(recipe: Recipe): Secret[] {
  const { proxyEnv, mirrors, release, installer, cloud } = recipe
  const addresses: [string, string | undefined][] = [
    ...Object.entries(proxyEnv).map(([, value]): [string, string] => [
      'password of the proxy',
      value,
    ]),
    ...mirrors.flatMap(({ main, security }): [string, string | undefined][] => [
      ['password of the mirror', main],
      ['password of the mirror', security],
    ]),
    ...[release.media, release.cloudMedia].flatMap((media) =>
      (media?.roots ?? []).map((root): [string, string] => ['password of --media', root]),
    ),
    ['password of --iso', installer?.medium?.iso],
    ['password of --base', cloud?.base?.iso],
  ]
  const found = addresses.flatMap(([what, address]) =>
    address === undefined ? [] : secretsIn(what, address),
  )
  const made = madeSecrets().map(({ what, text }) => ({ what, bytes: Buffer.from(text) }))
  const known = new Map([...found, ...made].map((one) => [one.bytes.toString('latin1'), one]))
  return [...known.values()]
}
