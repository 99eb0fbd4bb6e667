/**
 * The least metadata service that cloud-init's SmartOS datasource is content with: protocol V2 over
 * QEMU's second serial port, GET and KEYS. Source: https://eng.tritondatacenter.com/mdata/protocol.html
 */
import { connect, type Socket } from 'node:net'
import { crc32 } from 'node:zlib'

const frame = (body: string) => {
  const sum = crc32(body).toString(16).padStart(8, '0')
  return `V2 ${body.length} ${sum} ${body}\n`
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** The answer to one line. */
export function answer(line: string, data: Readonly<Record<string, string>>): string {
  if (line === 'NEGOTIATE V2') return 'V2_OK\n'
  const [, id, verb, key] = /^V2 \d+ [0-9a-f]{8} (\w+) (\w+)(?: (\S+))?$/.exec(line) ?? []
  if (!id) return 'invalid command\n'
  if (verb === 'KEYS') return frame(`${id} SUCCESS ${base64(Object.keys(data).join('\n'))}`)
  const value = verb === 'GET' && data[Buffer.from(key ?? '', 'base64').toString()]
  return frame(typeof value === 'string' ? `${id} SUCCESS ${base64(value)}` : `${id} NOTFOUND`)
}

/** Serve metadata on the socket of a machine's serial port, until it closes. */
export function serveMetadata(path: string, data: Readonly<Record<string, string>>): Socket {
  const socket = connect(path)
  let rest = ''
  socket.on('data', (bytes) => {
    const lines = (rest + bytes.toString('latin1')).split('\n')
    rest = lines.pop()!
    for (const line of lines) socket.write(answer(line, data))
  })
  socket.on('error', () => {}) // the machine ended
  return socket
}
