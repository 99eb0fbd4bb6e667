import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeFrame, encodeFrame } from '../../lib/triton/frames.ts'

const frames = suite('frames of the metadata protocol')

// From the protocol's own client: the checksums come from its crc32.c.
const GET_TEST = 'V2 21 a0cc09fe dc4fae17 GET dGVzdA=='
const NOT_FOUND = 'V2 17 11525eac dc4fae17 NOTFOUND'

frames('reads a request of the reference client', () => {
  const frame = decodeFrame(GET_TEST)!
  assert.is(frame.id, 'dc4fae17')
  assert.is(frame.word, 'GET')
  assert.is(frame.payload!.toString(), 'test')
})
frames('writes what the reference client accepts', () => {
  assert.is(encodeFrame({ id: 'dc4fae17', word: 'NOTFOUND', payload: undefined }), `${NOT_FOUND}\n`)
  assert.is(
    encodeFrame({ id: 'dc4fae17', word: 'GET', payload: Buffer.from('test') }),
    `${GET_TEST}\n`,
  )
})
frames('sends an empty value as no value', () => {
  const line = encodeFrame({ id: '00000001', word: 'SUCCESS', payload: Buffer.alloc(0) })
  assert.match(line, / 00000001 SUCCESS\n$/)
})
for (const [what, line] of [
  ['a wrong length', 'V2 22 a0cc09fe dc4fae17 GET dGVzdA=='],
  ['a wrong checksum', 'V2 21 a0cc09ff dc4fae17 GET dGVzdA=='],
  ['a flipped bit', 'V2 21 a0cc09fe dc4fae17 GET dGVzdB=='],
  ['a cut end', 'V2 21 a0cc09fe dc4fae17 GET dGVz'],
  ['another version', 'V3 21 a0cc09fe dc4fae17 GET dGVzdA=='],
  ['no frame at all', 'GET test'],
] as const) {
  frames(`drops ${what}`, () => assert.is(decodeFrame(line), undefined))
}
frames('carries any bytes', () => {
  const payload = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 7) % 256))
  const line = encodeFrame({ id: 'ffffffff', word: 'PUT', payload }).trimEnd()
  assert.equal(decodeFrame(line)!.payload, payload)
})

frames.run()
