/**
 * Frames of the metadata protocol, version 2: `V2 <length> <crc32> <body>`, a line each.
 *
 * The body is `<request id> <word>[ <base64>]`; its length counts bytes, its CRC is zlib's, in eight
 * lower-case hexadecimal digits. Source: https://eng.tritondatacenter.com/mdata/protocol.html
 */
import { crc32 } from 'node:zlib'

export type Frame = {
  /** Eight hexadecimal digits, chosen by the client and echoed. */
  id: string
  /** `GET`, `SUCCESS`, ... */
  word: string
  /** Decoded; undefined where the frame has none. An empty value travels as none. */
  payload: Buffer | undefined
}

const BODY = /^([0-9a-f]{8}) ([A-Z]+)(?: ([A-Za-z0-9+/]*={0,2}))?$/

const checksum = (body: string) => crc32(body).toString(16).padStart(8, '0')

/** One frame as a line, its newline included. */
export function encodeFrame({ id, word, payload }: Frame): string {
  const body = [id, word, ...(payload?.length ? [payload.toString('base64')] : [])].join(' ')
  return `V2 ${Buffer.byteLength(body)} ${checksum(body)} ${body}\n`
}

/**
 * The frame in a line (without its newline), or undefined when length, checksum or form is wrong:
 * both sides drop such a line without a word, and the client's time limit does the rest.
 */
export function decodeFrame(line: string): Frame | undefined {
  const [, length, crc, body] = /^V2 +(\d+) +([0-9a-f]{8}) +(.*)$/.exec(line) ?? []
  if (body === undefined || Number(length) !== Buffer.byteLength(body, 'latin1')) return undefined
  if (crc !== checksum(body)) return undefined
  const [, id, word, base64] = BODY.exec(body) ?? []
  if (id === undefined || word === undefined) return undefined
  return { id, word, payload: base64 ? Buffer.from(base64, 'base64') : undefined }
}
