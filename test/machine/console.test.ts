import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { ConsoleTimeout, plainText, SerialConsole } from '../../lib/machine/console.ts'
import { inTemporaryDir } from '../temporary.ts'

const limits = { seconds: 20, silentSeconds: 20 }
const opened = () => {
  const stream = new PassThrough()
  return { stream, console: new SerialConsole(stream) }
}
/** The error of a wait that has to fail. */
async function failure(wait: Promise<unknown>): Promise<ConsoleTimeout> {
  const error = await wait.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.instance(error, ConsoleTimeout)
  return error as ConsoleTimeout
}

const plain = suite('plainText()')
plain('leaves words and line breaks', () => {
  const menu = '\x1b[2J\x1b[?25h\x1b[m\x1b[01;01HGNU \x1b(BGRUB\x1b[5;78H\r\n\x1b=x\x1b>'
  assert.is(plainText(menu), 'GNU GRUB\nx')
})
plain.run()

const waiting = suite('SerialConsole.waitFor()')
waiting('finds a text that is there, and one that comes', async () => {
  const { stream, console } = opened()
  stream.write('SeaBIOS\r\nGNU GRUB  version 2.06\r\n')
  const first = await console.waitFor(/GRUB +version (\S+)/, { what: 'GRUB', limits })
  assert.is(first.match[1], '2.06')
  setTimeout(() => stream.write('web-1 login: '), 100)
  await console.waitFor(/^\S+ login:/m, { what: 'The prompt', limits, from: first.next })
})
waiting('looks behind a position only', async () => {
  const { stream, console } = opened()
  stream.write('one login:')
  const { next } = await console.waitFor(/login:/, { what: 'x', limits })
  const again = console.waitFor(/(\S+) login:/, { what: 'x', limits, from: next })
  setTimeout(() => stream.write('\ntwo login:'), 50)
  assert.is((await again).match[1], 'two')
})
waiting('is not misled by a control sequence in two pieces', async () => {
  const { stream, console } = opened()
  for (const piece of ['GNU\x1b', '[1', ';2H GR\x1b(', 'BUB']) stream.write(piece)
  await console.waitFor(/GNU GRUB/, { what: 'GRUB', limits })
})
waiting('gives up at its limit, with the last lines', async () => {
  const { stream, console } = opened()
  stream.write('one\r\n\r\nGrub rescue>\r\n')
  const chatter = setInterval(() => stream.write('.'), 100)
  const options = { what: 'The log-in prompt', limits: { seconds: 0.7, silentSeconds: 20 } }
  const error = await failure(console.waitFor(/login:/, options))
  clearInterval(chatter)
  assert.match(error.message, /^The log-in prompt did not appear.*: waited 0\.7 s/)
  assert.equal(error.lastLines.slice(0, 2), ['one', 'Grub rescue>'])
})
waiting('gives up on silence before that', async () => {
  const { stream, console } = opened()
  stream.write('hanging')
  const options = { what: 'The kernel', limits: { seconds: 20, silentSeconds: 0.5 } }
  const error = await failure(console.waitFor(/Linux/, options))
  assert.match(error.message, /silent for 0\.5 s/)
  assert.equal(error.lastLines, ['hanging'])
})
waiting('knows at once that the machine has ended', async () => {
  const { console } = opened()
  const wait = failure(console.waitFor(/Linux/, { what: 'The kernel', limits }))
  console.end('QEMU ended: no such disk')
  assert.match((await wait).message, /QEMU ended: no such disk/)
})
waiting('still finds what came before the end', async () => {
  const { stream, console } = opened()
  stream.write('Linux version 6.1\n')
  await new Promise((done) => setTimeout(done, 20))
  console.end('QEMU ended')
  await console.waitFor(/Linux version/, { what: 'The kernel', limits })
})
waiting('stops when the operator does', async () => {
  const { console } = opened()
  const stop = new AbortController()
  const wait = console.waitFor(/x/, { what: 'x', limits, signal: stop.signal })
  stop.abort(new Error('interrupted'))
  const reason = await wait.then(() => undefined, String)
  assert.is(reason, 'Error: interrupted')
})
waiting('logs every byte', () =>
  inTemporaryDir(async (dir) => {
    const stream = new PassThrough()
    const console = new SerialConsole(stream, join(dir, 'serial.log'))
    stream.write(Buffer.from([0x1b, 0x5b, 0x32, 0x4a, 0xff, 0x0d, 0x0a]))
    await new Promise((done) => setTimeout(done, 50))
    console.end('end')
    await new Promise((done) => setTimeout(done, 50))
    assert.is((await readFile(join(dir, 'serial.log'))).toString('hex'), '1b5b324aff0d0a')
  }),
)
waiting.run()
