/**
 * OpenPGP signatures of vendors, checked in this process; nobody's GnuPG keyring is touched.
 *
 * A distro definition pins the fingerprint of the vendor's signing key (its primary key). The key
 * itself may come from anywhere, as only one with a pinned fingerprint is believed.
 */
import type { Key, KeyID, Signature } from 'openpgp'
import { BuildError } from '../cli/errors.ts'

/** Loaded where something is verified: every command would wait for it otherwise. */
const load = () => import('openpgp')

export type Signer = {
  /** Fingerprint of the primary key, lower-case hexadecimal. */
  fingerprint: string
  signedAt: Date
}

/** What is believed: keys as files hold them (armoured or binary, one or many), and the pins. */
export type Trust = {
  /** Content of key files, by name for messages. */
  keys: ReadonlyMap<string, Buffer>
  /** Fingerprints of primary keys; spaces and case do not matter. */
  pins: readonly string[]
}

const plain = (fingerprint: string) => fingerprint.replaceAll(/\s/g, '').toLowerCase()
const BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
const END = '-----END PGP PUBLIC KEY BLOCK-----'

/** A vendor's file may hold one armour behind another, and words around them. */
function armours(text: string): string[] {
  return text.split(BEGIN).flatMap((part, i) => {
    const end = part.indexOf(END)
    return i === 0 || end < 0 ? [] : [`${BEGIN}${part.slice(0, end)}${END}\n`]
  })
}
const isArmoured = (bytes: Buffer) =>
  bytes.subarray(0, 64).toString('latin1').includes('-----BEGIN PGP')

/** The keys that are pinned. @throws {BuildError} when a file holds no key, or none has a pinned fingerprint */
async function trustedKeys({ keys, pins }: Trust): Promise<Key[]> {
  const openpgp = await load()
  const found: Key[] = []
  for (const [name, bytes] of keys) {
    try {
      const blocks = armours(bytes.toString('utf8'))
      if (blocks.length === 0) found.push(...(await openpgp.readKeys({ binaryKeys: bytes })))
      for (const armoredKeys of blocks) {
        found.push(...(await openpgp.readKeys({ armoredKeys })))
      }
    } catch (error) {
      throw new BuildError(`Cannot read key "${name}": ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  const wanted = pins.map(plain)
  const trusted = found.filter((key) => wanted.includes(key.getFingerprint()))
  if (trusted.length > 0) return trusted
  const names = [...keys.keys()].join(', ')
  const present = found.map((key) => key.getFingerprint()).join(', ') || 'no key'
  throw new BuildError(
    `Cannot use key "${names}": it holds ${present}, pinned is ${wanted.join(' or ')}`,
    {
      hint: 'The vendor may have a new key: compare its fingerprint with what the vendor publishes',
    },
  )
}

/** @throws {BuildError} when a file holds no key, or none has a pinned fingerprint */
export async function checkKeys(trust: Trust): Promise<void> {
  await trustedKeys(trust)
}

/**
 * The keys that are pinned, as a binary keyring for other programs.
 *
 * @throws {BuildError} when none has a pinned fingerprint
 */
export async function pinnedKeyring(trust: Trust): Promise<Buffer> {
  return Buffer.concat((await trustedKeys(trust)).map((key) => Buffer.from(key.write())))
}

type Verification = {
  keyID: KeyID
  verified: Promise<unknown>
  signature: Promise<Signature>
}

/** The first good signature by a trusted key. @throws {BuildError} with what is wrong with all of them */
async function goodSignature(what: string, keys: Key[], made: Verification[]): Promise<Signer> {
  const problems: string[] = []
  for (const { keyID, verified, signature } of made) {
    const key = keys.find((one) => one.getKeys(keyID).length > 0)
    try {
      await verified
      if (!key) throw new Error('its key is not pinned')
      const [packet] = (await signature).packets
      return { fingerprint: key.getFingerprint(), signedAt: packet?.created ?? new Date(0) }
    } catch (error) {
      const reason = key ? (error as Error).message : 'a key that is not pinned'
      problems.push(`signature by ${keyID.toHex()}: ${reason}`)
    }
  }
  throw new BuildError(`Cannot trust ${what}: ${problems.join('; ') || 'it is not signed'}`, {
    hint: 'Somebody changed it on the way, or the mirror is broken: try another one',
  })
}

/**
 * Check a signature that lies beside what it signs (`.sign`, `.asc`, `.gpg`). A key that has expired
 * since still vouches for what it signed before.
 *
 * @param what names the signed file in messages
 * @throws {BuildError} when the signature is wrong, expired, or of a key that is not pinned
 */
export async function verifyDetached(
  what: string,
  data: Buffer,
  signature: Buffer,
  trust: Trust,
): Promise<Signer> {
  const openpgp = await load()
  const keys = await trustedKeys(trust)
  const message = await openpgp.createMessage({ binary: data })
  const parsed = await (
    isArmoured(signature)
      ? openpgp.readSignature({ armoredSignature: signature.toString('utf8') })
      : openpgp.readSignature({ binarySignature: signature })
  ).catch((error: unknown) => {
    throw new BuildError(`Cannot read the signature of ${what}: ${(error as Error).message}`, {
      cause: error,
    })
  })
  const { signatures } = await openpgp.verify({
    message,
    signature: parsed,
    verificationKeys: keys,
    format: 'binary',
  })
  return goodSignature(what, keys, signatures)
}

/**
 * Check a text that carries its signature with it (`InRelease`, some CHECKSUM files).
 *
 * @returns the text that was signed, and by whom; what stands around it is not part of it
 * @throws {BuildError} as verifyDetached
 */
export async function verifyClearsigned(
  what: string,
  text: string,
  trust: Trust,
): Promise<Signer & { text: string }> {
  const openpgp = await load()
  const keys = await trustedKeys(trust)
  const message = await openpgp
    .readCleartextMessage({ cleartextMessage: text })
    .catch((error: unknown) => {
      throw new BuildError(`Cannot read ${what}: ${(error as Error).message}`, { cause: error })
    })
  const { signatures } = await openpgp.verify({ message, verificationKeys: keys })
  return { ...(await goodSignature(what, keys, signatures)), text: message.getText() }
}
