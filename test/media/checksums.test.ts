import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { newestMatch, parseChecksums } from '../../lib/media/checksums.ts'

const SHA256 = 'ab'.repeat(32)
const SHA512 = 'CD'.repeat(64)

const parsing = suite('parseChecksums()')
parsing('reads both layouts, and tells algorithms apart by length', () => {
  const text = [
    '# a comment',
    `${SHA256}  debian-13.1.0-amd64-netinst.iso`,
    `${SHA512} *./images/binary.iso`,
    `SHA256 (Rocky 9 (x86).iso) = ${SHA256}`,
    `SHA512 (b.iso) = ${SHA512}`,
    'Rocky-9-latest-x86_64-dvd.iso: 12345 bytes',
    '',
  ].join('\r\n')
  assert.equal(
    [...parseChecksums(text)],
    [
      ['debian-13.1.0-amd64-netinst.iso', { algorithm: 'sha256', hex: SHA256 }],
      ['images/binary.iso', { algorithm: 'sha512', hex: SHA512.toLowerCase() }],
      ['Rocky 9 (x86).iso', { algorithm: 'sha256', hex: SHA256 }],
      ['b.iso', { algorithm: 'sha512', hex: SHA512.toLowerCase() }],
    ],
  )
})
parsing('leaves out digests that prove nothing any more, and cut ones', () => {
  const text = [
    `${'a'.repeat(32)}  md5.iso`,
    `${'a'.repeat(40)}  sha1.iso`,
    `${SHA256.slice(1)}  cut.iso`,
    `MD5 (x.iso) = ${'a'.repeat(32)}`,
    `${SHA256}  `,
  ].join('\n')
  assert.is(parseChecksums(text).size, 0)
})
parsing('is not misled by an error page', () => {
  assert.is(parseChecksums('<html><title>404 Not Found</title></html>').size, 0)
  assert.is(parseChecksums('').size, 0)
})
parsing.run()

const newest = suite('newestMatch()')
const files = ['R-9.9-dvd.iso', 'R-9.10-dvd.iso', 'R-9.10-boot.iso', 'R-9.8-dvd.iso']
newest('orders 9.10 after 9.9', () => {
  assert.is(newestMatch(files, /-dvd\.iso$/, 'x'), 'R-9.10-dvd.iso')
})
newest('says what was there when nothing matches', () => {
  assert.throws(
    () => newestMatch(files, /netinst/, 'http://m/SHA256SUMS'),
    /Cannot find media matching \/netinst\/ in http:\/\/m\/SHA256SUMS: listed are R-9\.9-dvd\.iso, /,
  )
  assert.throws(() => newestMatch([], /x/, 'y'), /it lists no file/)
})
newest.run()
