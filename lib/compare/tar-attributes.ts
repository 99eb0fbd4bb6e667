/**
 * Extended attributes, ACLs and capabilities in a tar, to the byte.
 *
 * Source: POSIX, "pax Interchange Format"; GNU tar's manual, "Extended attributes", for the keywords.
 */
import { extract } from 'tar-stream'

const ATTRIBUTE = 'SCHILY.xattr.'
const ACLS: Readonly<Record<string, string>> = {
  'SCHILY.acl.access': 'ACL',
  'SCHILY.acl.default': 'default ACL',
}
/** Other names of what has its own place above. */
const REPEATED = ['system.posix_acl_access', 'system.posix_acl_default']

/**
 * tar-stream's parser, and attributes as bytes: it takes values of pax headers for UTF-8, which capabilities are not,
 * so that different ones could look the same. There is no public way to the bytes.
 */
export function exactParser() {
  const parser = extract()
  type Inside = { _header: { type: string } | null; _decodeLongHeader(bytes: Buffer): void }
  const inside = parser as unknown as Inside
  let attributes = new Map<string, string>()
  const decode = inside._decodeLongHeader
  if (typeof decode !== 'function') throw new Error('tar-stream has changed: look at exactParser()')
  inside._decodeLongHeader = function (this: Inside, bytes: Buffer) {
    if (this._header?.type === 'pax-header') attributes = attributesIn(paxRecords(bytes))
    decode.call(this, bytes)
  }
  /** Of the file whose header was read last; once. */
  const attributesOf = () => {
    const taken = attributes
    attributes = new Map()
    return taken
  }
  return { parser, attributesOf }
}

/** `<length> <keyword>=<value>\n`, again and again; the length counts all of it. */
export function paxRecords(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, blank))
    if (blank < 0 || !Number.isSafeInteger(length) || length < 5) break
    const record = bytes.subarray(blank + 1, at + length - 1)
    const equals = record.indexOf(0x3d)
    if (equals > 0) {
      records.set(record.toString('utf8', 0, equals), Buffer.from(record.subarray(equals + 1)))
    }
    at += length
  }
  return records
}

function attributesIn(records: Map<string, Buffer>): Map<string, string> {
  const found = [...records].flatMap(([keyword, value]): [string, string][] => {
    const acl = ACLS[keyword]
    if (acl) return [[acl, value.toString('utf8').trim().replaceAll('\n', ',')]]
    if (!keyword.startsWith(ATTRIBUTE)) return []
    const name = keyword.slice(ATTRIBUTE.length)
    return REPEATED.includes(name) ? [] : [[name, showBytes(value)]]
  })
  return new Map(found)
}

/** As text where it is one, in hexadecimal otherwise. */
function showBytes(value: Buffer): string {
  const text = value.toString('latin1').replace(/\0$/, '\\0') // SELinux' labels end so
  return /^[\x20-\x7e]*$/.test(text) ? text : `0x${value.toString('hex')}`
}
