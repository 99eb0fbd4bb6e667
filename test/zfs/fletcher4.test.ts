import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile, writeFile } from 'node:fs/promises'
import wabt from 'wabt'
import { Fletcher4 } from '../../lib/zfs/fletcher4.ts'
import { Random } from '../random.ts'

const file = (name: string) => new URL(`../../lib/zfs/${name}`, import.meta.url)

/** The definition, word by word. */
function naive(bytes: Buffer): string {
  let [a, b, c, d] = [0n, 0n, 0n, 0n]
  for (let at = 0; at < bytes.length; at += 4) {
    a = BigInt.asUintN(64, a + BigInt(bytes.readUInt32LE(at)))
    b = BigInt.asUintN(64, b + a)
    c = BigInt.asUintN(64, c + b)
    d = BigInt.asUintN(64, d + c)
  }
  return [a, b, c, d].join(' ')
}
const sums = (sum: Fletcher4) =>
  [0, 8, 16, 24].map((at) => sum.digest().readBigUInt64LE(at)).join(' ')

const fletcher = suite('Fletcher4')
fletcher('is made from the text beside it', async () => {
  const { parseWat } = await wabt()
  const text = await readFile(file('fletcher4.wat'), 'utf8')
  const { buffer } = parseWat('fletcher4.wat', text).toBinary({})
  if (process.env['UPDATE']) await writeFile(file('fletcher4.wasm'), buffer)
  assert.ok(Buffer.from(buffer).equals(await readFile(file('fletcher4.wasm'))))
})
fletcher('is zeros for nothing', () => {
  const sum = new Fletcher4()
  sum.update(Buffer.alloc(0))
  assert.is(sums(sum), '0 0 0 0')
})
fletcher('sums the words 1, 2, 3 to 6, 10, 15, 21', () => {
  const words = Buffer.alloc(12)
  ;[1, 2, 3].forEach((word, i) => words.writeUInt32LE(word, i * 4))
  const sum = new Fletcher4()
  sum.update(words)
  assert.is(sums(sum), '6 10 15 21')
})
fletcher('agrees with the definition on random data, in parts of any size', () => {
  const random = new Random(1)
  for (let round = 0; round < 20; round++) {
    const data = random.bytes(4 * (1 + random.below(8000)))
    const sum = new Fletcher4()
    for (let at = 0; at < data.length;) {
      const part = 4 * random.below(1000)
      sum.update(data.subarray(at, at + part))
      at += part
    }
    assert.is(sums(sum), naive(data))
  }
})
fletcher('wraps at 64 bits, over more than its memory holds', () => {
  const ones = Buffer.alloc((1 << 20) + 4, 0xff)
  const sum = new Fletcher4()
  sum.update(ones)
  assert.is(sums(sum), naive(ones))
})
fletcher('refuses parts of words', () => {
  assert.throws(() => new Fletcher4().update(Buffer.alloc(10)), /no multiple of 4/)
})
fletcher.run()
