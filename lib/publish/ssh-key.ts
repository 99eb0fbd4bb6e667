/**
 * The key that requests are signed with: a file, or a fingerprint of one that the ssh agent or ~/.ssh has.
 * A key under a passphrase has to be in the agent: nobody is asked for it here.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type sshpk from 'sshpk'
import { BuildError } from '../cli/errors.ts'
import { readSmallFile } from '../cli/small-file.ts'
import { homeDirectory } from '../host/home.ts'
import { agentKeys, agentSign } from './ssh-agent.ts'
import { sshFormats } from './ssh-formats.ts'

export type SigningKey = {
  /** `rsa`, `dsa`, `ecdsa`, `ed25519` */
  type: string
  /** MD5, as Manta names keys: `aa:bb:...` */
  fingerprint: string
  /** As an HTTP signature has it: `rsa-sha256`, and base64. */
  sign(text: string): Promise<{ algorithm: string; signature: string }>
}

const FINGERPRINT = /^(?:(?:MD5:)?[0-9a-f]{2}(?::[0-9a-f]{2}){15}|SHA256:[A-Za-z0-9+/]{43}=?)$/i
const PASSPHRASE = 'Add it to the ssh agent: ssh-add'

/** SHA-1 is all that DSA has there; for ECDSA the curve decides, and Ed25519 has its own. */
function hashOf(key: sshpk.Key): 'sha1' | 'sha256' | 'sha384' | 'sha512' {
  if (key.type === 'dsa') return 'sha1'
  if (key.type === 'ed25519') return 'sha512'
  if (key.type === 'ecdsa')
    return key.size <= 256 ? 'sha256' : key.size <= 384 ? 'sha384' : 'sha512'
  return 'sha256'
}

const md5Of = (key: sshpk.Key) => key.fingerprint('md5').toString('hex')

function ofPrivateKey(key: sshpk.PrivateKey): SigningKey {
  const hash = hashOf(key)
  return {
    type: key.type,
    fingerprint: md5Of(key.toPublic()),
    async sign(text) {
      const signer = key.createSign(hash)
      signer.update(text)
      return { algorithm: `${key.type}-${hash}`, signature: signer.sign().toString('asn1') }
    },
  }
}

async function ofAgent(
  wanted: (key: sshpk.Key) => boolean,
  env: NodeJS.ProcessEnv,
): Promise<SigningKey | undefined> {
  const socket = env['SSH_AUTH_SOCK']
  if (!socket) return undefined
  const found = (await agentKeys(socket)).find(({ key }) => wanted(key))
  if (!found) return undefined
  return {
    type: found.key.type,
    fingerprint: md5Of(found.key),
    async sign(text) {
      const signature = await agentSign(socket, found, text)
      // An agent that knows nothing of RFC 8332 signs over SHA-1 all the same.
      const hash = signature.hashAlgorithm ?? hashOf(found.key)
      return { algorithm: `${found.key.type}-${hash}`, signature: signature.toString('asn1') }
    },
  }
}

/**
 * Find a key.
 *
 * @param identity a fingerprint, MD5 or SHA256 as `ssh-keygen -l` prints it, or a file, private or `.pub`
 * @throws {BuildError} when there is no such key, it can't be read, or it has a passphrase and no agent has it
 */
export async function findSigningKey(
  identity: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<SigningKey> {
  const home = homeDirectory(env)
  if (FINGERPRINT.test(identity)) return byFingerprint(identity, home, env)
  const path = identity.replace(/^~(?=\/)/, home)
  const text = String(await readSmallFile(path, `key "${path}"`))
  if (/PRIVATE KEY/.test(text)) return byPrivateKey(path, text, env)
  const key = publicKey(text)
  if (!key) {
    throw new BuildError(`Cannot use key "${path}": it is no SSH key`, {
      hint: 'Name the private key, or its .pub where the ssh agent has it',
    })
  }
  const signer = await ofAgent((one) => key.fingerprint('sha256').matches(one), env)
  if (signer) return signer
  const beside = path.replace(/\.pub$/, '')
  if (beside !== path) return findSigningKey(beside, env)
  throw new BuildError(`Cannot sign with "${path}": the ssh agent does not have it`, {
    hint: PASSPHRASE,
  })
}

function publicKey(text: string): sshpk.Key | undefined {
  try {
    return sshFormats().parseKey(text, 'auto')
  } catch {
    return undefined
  }
}

async function byPrivateKey(
  path: string,
  text: string,
  env: NodeJS.ProcessEnv,
): Promise<SigningKey> {
  try {
    return ofPrivateKey(sshFormats().parsePrivateKey(text, 'auto'))
  } catch (error) {
    if ((error as Error).name === 'KeyEncryptedError') {
      const open = publicKey(await readFile(`${path}.pub`, 'utf8').catch(() => ''))
      const signer = open && (await ofAgent((one) => open.fingerprint('sha256').matches(one), env))
      if (signer) return signer
      throw new BuildError(`Cannot use key "${path}": it has a passphrase`, { hint: PASSPHRASE })
    }
    throw new BuildError(`Cannot use key "${path}": ${(error as Error).message}`, { cause: error })
  }
}

/** The agent's keys first, then those of ~/.ssh whose public half says which they are. */
async function byFingerprint(
  identity: string,
  home: string,
  env: NodeJS.ProcessEnv,
): Promise<SigningKey> {
  const text = identity.replace(/^md5:/i, '')
  const wanted = sshFormats().parseFingerprint(/^sha256/i.test(text) ? text : text.toLowerCase())
  const signer = await ofAgent((key) => wanted.matches(key), env)
  if (signer) return signer
  const dir = join(home, '.ssh')
  const names = await readdir(dir).catch(() => [])
  for (const name of names.filter((one) => one.endsWith('.pub')).sort()) {
    const key = publicKey(await readFile(join(dir, name), 'utf8').catch(() => ''))
    if (key && wanted.matches(key)) return findSigningKey(join(dir, name.slice(0, -4)), env)
  }
  throw new BuildError(`Cannot find the key ${identity}: neither the ssh agent nor ${dir} has it`, {
    hint: 'ssh-add -l lists the keys of the agent; --identity takes a key file too',
  })
}
