/** Options of the publishers that hand images to a server by signed requests. */
import { UsageError } from '../cli/errors.ts'
import { type OptionTable, parseUrl } from '../cli/options.ts'

/** An http or https address without a password in it. @throws {UsageError} otherwise */
export function parseServerUrl(text: string): URL {
  const url = new URL(parseUrl(text))
  if (url.username === '' && url.password === '') return url
  throw new UsageError(`Cannot use address "${url.host}" with a user in it`, {
    hint: 'Requests are signed with an SSH key: --user and --identity',
  })
}

/** A name of an account, also with a user below it. @throws {UsageError} otherwise */
export function parseUser(text: string): string {
  if (/^[\w.@+-]+(\/[\w.@+-]+)?$/.test(text)) return text
  throw new UsageError(`Cannot use user "${text}": take letters, digits, and . _ @ + -`)
}

/** Options of every publisher that asks a server; their variables depend on which one. */
export const serverOptions = {
  url: {
    arg: 'URL',
    parse: parseServerUrl,
    help: 'the server (imgapi: or $IMGAPI_URL, $UPDATES_IMGADM_URL; manta: or $MANTA_URL; maas: or $MAAS_URL)',
  },
  user: {
    arg: 'NAME',
    parse: parseUser,
    help: 'account that signs (imgapi: or $UPDATES_IMGADM_USER, without it nothing is signed; manta: or $MANTA_USER)',
  },
  identity: {
    arg: 'FILE|FINGERPRINT',
    help: 'its SSH key: a file, or one of the ssh agent (or $UPDATES_IMGADM_IDENTITY, $MANTA_KEY_ID; default ~/.ssh/id_rsa)',
  },
} as const satisfies OptionTable
