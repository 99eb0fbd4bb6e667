/**
 * The ssh agent: which keys it has, and signatures by them. Two messages of its protocol, over its socket.
 * Source: draft-ietf-sshm-ssh-agent, 3.5 and 3.6; RFC 8332 for the flag.
 */
import { createConnection } from 'node:net'
import type sshpk from 'sshpk'
import { BuildError } from '../cli/errors.ts'
import { sshFormats } from './ssh-formats.ts'

const REQUEST_IDENTITIES = 11
const IDENTITIES_ANSWER = 12
const SIGN_REQUEST = 13
const SIGN_RESPONSE = 14
/** An RSA signature over SHA-256, not SHA-1. */
const RSA_SHA2_256 = 2

const ANSWER_MS = 60_000 // a key that asks its owner for a touch or a yes takes a while
const LONGEST_ANSWER = 1 << 20

export type AgentKey = { key: sshpk.Key; blob: Buffer }

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const field = (bytes: Buffer) => Buffer.concat([uint32(bytes.length), bytes])

/** Reads fields that have their length before them. */
class Fields {
  #rest: Buffer
  constructor(bytes: Buffer) {
    this.#rest = bytes
  }

  number(): number {
    if (this.#rest.length < 4) throw new BuildError('Cannot read the answer of the ssh agent')
    const value = this.#rest.readUInt32BE()
    this.#rest = this.#rest.subarray(4)
    return value
  }

  bytes(): Buffer {
    const length = this.number()
    if (this.#rest.length < length) throw new BuildError('Cannot read the answer of the ssh agent')
    const value = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return value
  }
}

/** One message there and one back; `answer` is the kind that it has to be. */
function ask(path: string, kind: number, content: Buffer, answer: number): Promise<Fields> {
  return new Promise((resolve, reject) => {
    const refuse = (what: string, cause?: unknown) => {
      socket.destroy()
      reject(
        new BuildError(`Cannot use the ssh agent at "${path}": ${what}`, {
          hint: 'Is it running, and is $SSH_AUTH_SOCK its socket? Or name a key file with --identity',
          cause,
        }),
      )
    }
    const socket = createConnection(path)
    let received = Buffer.alloc(0)
    socket.setTimeout(ANSWER_MS, () => refuse('it does not answer'))
    socket.on('error', (error) => refuse(error.message, error))
    socket.on('close', () => refuse('it closed the connection')) // without effect after an answer
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece])
      if (received.length < 5) return
      const length = received.readUInt32BE()
      if (length === 0 || length > LONGEST_ANSWER) return refuse('it is no ssh agent')
      if (received.length < 4 + length) return
      if (received[4] !== answer) return refuse('it refused')
      resolve(new Fields(received.subarray(5, 4 + length)))
      socket.destroy()
    })
    socket.write(field(Buffer.concat([Buffer.from([kind]), content])))
  })
}

/** The keys that an agent has; those of kinds that we don't know (of hardware, say) are left out. */
export async function agentKeys(path: string): Promise<AgentKey[]> {
  const fields = await ask(path, REQUEST_IDENTITIES, Buffer.alloc(0), IDENTITIES_ANSWER)
  const keys: AgentKey[] = []
  for (let left = fields.number(); left > 0; left--) {
    const blob = fields.bytes()
    fields.bytes() // its comment
    try {
      keys.push({ key: sshFormats().parseKey(blob, 'rfc4253'), blob })
    } catch {
      continue
    }
  }
  return keys
}

/** Have an agent sign a text. @throws {BuildError} when it does not */
export async function agentSign(
  path: string,
  { key, blob }: AgentKey,
  text: string,
): Promise<sshpk.Signature> {
  const flags = key.type === 'rsa' ? RSA_SHA2_256 : 0
  const content = Buffer.concat([field(blob), field(Buffer.from(text)), uint32(flags)])
  const fields = await ask(path, SIGN_REQUEST, content, SIGN_RESPONSE)
  // Of a public key of ssh it is one of the four that sign; the types say more.
  const signature = fields.bytes()
  try {
    return sshFormats().parseSignature(signature, key.type as sshpk.AlgorithmType, 'ssh')
  } catch (cause) {
    throw new BuildError('Cannot read the signature of the ssh agent', { cause })
  }
}
