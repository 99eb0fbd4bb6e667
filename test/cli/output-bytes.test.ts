import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { outputBytes } from '../../lib/cli/output-bytes.ts'
import { errorOf } from '../temporary.ts'

const output = suite('outputBytes()')
const read = async (script: string) => {
  const pieces: Buffer[] = []
  for await (const piece of outputBytes(['sh', '-c', script], 'read it')) pieces.push(piece)
  return Buffer.concat(pieces)
}
output('gives bytes as they are', async () => {
  assert.equal(await read(`printf 'a\\377\\000\\200b'`), Buffer.from([0x61, 0xff, 0, 0x80, 0x62]))
  assert.is((await read('head -c 3000000 /dev/zero')).length, 3_000_000)
})
output('says what was attempted, how it ended, and its last words', async () => {
  const { message } = await errorOf(() => read('echo part; echo no such thing >&2; exit 3'))
  assert.is(message, 'Cannot read it: sh ended with status 3: no such thing')
  assert.is(
    (await errorOf(() => read('kill -9 $$'))).message,
    'Cannot read it: sh ended with SIGKILL',
  )
})
output('says so when there is no such program', async () => {
  const { message } = await errorOf(async () => {
    for await (const _ of outputBytes(['/no/such/program'], 'read it')) continue
  })
  assert.match(message, /^Cannot read it: \/no\/such\/program ended with .*ENOENT/)
})
output('a reader that stops early ends the program, and waits for that', async () => {
  let pid = 0
  for await (const piece of outputBytes(['sh', '-c', 'echo $$; exec cat /dev/zero'], 'read it')) {
    pid ||= Number.parseInt(piece.toString('latin1'))
    break
  }
  assert.ok(pid > 0)
  assert.throws(() => process.kill(pid, 0), /ESRCH/)
})
output.run()
