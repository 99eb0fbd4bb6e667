/** Whatever a machine prints on its serial console, and what another program says on QEMU's socket. */
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { plainText, SerialConsole } from '../../lib/machine/console.ts'
import { checkMarkers, readMarkers } from '../../lib/machine/markers.ts'
import { Qmp } from '../../lib/machine/qmp.ts'
import { explainGuest } from '../../lib/methods/cloud-seed.ts'
import {
  followMmdebstrap,
  mmdebstrapError,
  releaseIsGone,
} from '../../lib/methods/mmdebstrap-output.ts'
import { explainScript } from '../../lib/methods/script-failure.ts'
import { anyText, fc, holds, linesOf, soon, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'

const PIECES = [
  '\x1b[2J',
  '\x1b[01;01H',
  '\x1b(B',
  '\x1b=',
  '\x1b',
  '\x1b[',
  '\x1b[?25',
  'GRUB',
  '\r\n',
  '\n',
  'a b',
  'ä',
]
const someOutput = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), anyText(5)), { maxLength: 20 })
  .map((pieces) => Buffer.from(pieces.join('')))

const consoles = suite('SerialConsole, whatever comes')
consoles('shows the same text, however it comes in pieces', () =>
  holds(
    150,
    fc.tuple(someOutput, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 })),
    async ([bytes, sizes]) => {
      // What is not over yet is not shown yet.
      const whole = plainText(`${bytes.toString('latin1')}\x1bc`)
      const stream = new PassThrough()
      const console = new SerialConsole(stream)
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!
        stream.write(bytes.subarray(at, at + size))
        at += size
      }
      stream.end('\x1bc')
      await new Promise((done) => stream.on('close', done))
      assert.is(console.text, whole)
      assert.ok(console.lastLines().every((line) => line !== '' && !line.includes('\n')))
    },
  ),
)
consoles('is read in time that grows with what comes', async () => {
  for (const piece of ['\x1b[0000', '\x1b', '1;', '\x1b(', '\n', 'a']) {
    await soon(async () => {
      const stream = new PassThrough()
      const console = new SerialConsole(stream)
      if (piece === '1;') stream.write('\x1b[')
      const bytes = Buffer.from(piece.repeat(Math.ceil(64 / piece.length)))
      for (let i = 0; i < 16_000; i++) stream.write(bytes)
      stream.end()
      await new Promise((done) => stream.on('close', done))
      assert.ok(console.text.length < 2 ** 21)
      plainText(piece.repeat(300_000))
    })
  }
})
consoles.run()

const WORDS = [
  'JOYENT_STATUS_',
  'PRE',
  'POST',
  '=',
  'ok',
  'fail',
  ' ',
  '\r',
  '[ 1.2]',
  'E: ',
  'dpkg: error',
  'hybrid-images: ',
  'x',
  ' begins',
  ' exited with status ',
  '1',
  'I: ',
  '3 upgraded, 4 newly installed',
  'Unpacking a',
  'Setting up b',
  'error: cloud-init, ',
]
const readers = suite('what an installation prints')
readers('has markers that say ok, or failed', () =>
  holds(250, linesOf(WORDS, 8), async (text) => {
    const found = readMarkers(text)
    const error = await told(() => checkMarkers(text, ['PRE', 'POST']))
    const names = new Set(found.map(({ name }) => name))
    const good =
      found.every(({ value }) => value === 'ok') && [...names].sort().join() === 'POST,PRE'
    assert.is(error === undefined, good)
    for (const { name, value } of found) assert.ok(text.includes(`JOYENT_STATUS_${name}=${value}`))
  }),
)
readers('is explained, and how far it is only grows', () =>
  holds(200, linesOf(WORDS, 12), (text) => {
    const error = mmdebstrapError(text)
    assert.match(error.message, /^(Cannot install packages: .|In the new system .)/s)
    assert.ok(!error.message.includes('\n'))
    assert.type(releaseIsGone(text), 'boolean')
    for (const found of [explainScript(text), explainGuest(text)]) {
      if (found) assert.ok(found.what !== '' && !found.what.includes('\n'))
    }
    const follow = followMmdebstrap()
    let last = 0
    for (const line of text.split('\n')) {
      const [fraction] = follow(line) ?? [last]
      assert.ok(fraction >= last && fraction <= 1)
      last = fraction
    }
  }),
)
readers('is read in time that grows with it', async () => {
  for (const word of [
    ...WORDS,
    ' begins\n',
    'hybrid-images: x exited with status 1\n',
    'JOYENT_STATUS_A=\n',
    'E: \n',
  ]) {
    const text = word.repeat(Math.ceil(300_000 / word.length))
    await soon(() => readMarkers(text))
    await soon(() => mmdebstrapError(text))
    await soon(() => explainScript(text))
    await soon(() => explainGuest(text))
  }
})
readers.run()

const sockets = suite('Qmp, whatever stands on the other side')
sockets('has an answer, or an end', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'qmp')
    let say = ''
    const clients: Socket[] = []
    const server = createServer((socket) => {
      clients.push(socket)
      socket.on('error', () => {})
      socket.end(say)
    })
    await new Promise<void>((done) => server.listen(path, done))
    try {
      await holds(
        60,
        linesOf(
          [
            '{"return": {}}',
            '{"QMP": {}}',
            '{"error": {"desc": "x"}}',
            '{"error": null}',
            '{"event": "X"}',
            'null',
            '[]',
            '1',
            '{',
            '"',
          ],
          4,
        ),
        async (text) => {
          say = text
          let qmp: Qmp | undefined
          await told(async () => {
            qmp = await Qmp.connect(path)
            await qmp.execute('quit')
          })
          qmp?.close()
        },
      )
    } finally {
      for (const client of clients) client.destroy()
      await new Promise((done) => server.close(done))
    }
  }),
)
sockets.run()
