/** Whatever a guest sends on the metadata port, and answers to the questions of the checks. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Seen } from '../../lib/triton/check.ts'
import { makeInstance } from '../../lib/triton/instance.ts'
import { instanceChecks } from '../../lib/triton/instance-checks.ts'
import { decodeFrame, encodeFrame } from '../../lib/triton/frames.ts'
import { readAnswers } from '../../lib/triton/guest-script.ts'
import { Metadata } from '../../lib/triton/metadata.ts'
import { MetadataSession } from '../../lib/triton/session.ts'
import { systemChecks } from '../../lib/triton/system-checks.ts'
import { anyBytes, anyText, damaged, fc, holds, linesOf, soon } from '../properties.ts'

const values = { 'sdc:uuid': 'an-id', 'sdc:hostname': 'web', root_pw: 'secret', dots: '.\n..two' }

const someFrame = fc.record({
  id: fc.stringMatching(/^[0-9a-f]{8}$/),
  word: fc.constantFrom('GET', 'PUT', 'DELETE', 'KEYS', 'SUCCESS', 'NOTFOUND', 'X'),
  payload: fc.option(anyBytes(60), { nil: undefined }),
})

const frames = suite('frames')
frames('are read as they were written', () =>
  holds(150, someFrame, (frame) => {
    const line = encodeFrame(frame)
    assert.match(line, /^V2 \d+ [0-9a-f]{8} [ -~]*\n$/)
    const read = decodeFrame(line.trimEnd())
    // An empty value travels as none.
    const payload = frame.payload?.length ? frame.payload : undefined
    assert.equal(read, { ...frame, payload })
  }),
)
frames('that are damaged are none', () =>
  holds(
    250,
    someFrame.chain((frame) => {
      const line = encodeFrame(frame).trimEnd()
      return fc.tuple(fc.constant(line), damaged(Buffer.from(line)))
    }),
    ([line, bytes]) => {
      const read = decodeFrame(bytes.toString('latin1'))
      // Blanks and zeros before numbers say nothing.
      if (read) assert.equal(read, decodeFrame(line))
    },
  ),
)
frames.run()

const base64 = (text: string) => Buffer.from(text).toString('base64')
const someKey = fc.oneof(
  fc.constantFrom(...Object.keys(values), 'a', 'b', 'toString', '__proto__', '', 'ключ'),
  anyText(8),
)
const someRequest = fc.oneof(
  fc.constantFrom(
    'NEGOTIATE V2\n',
    'KEYS\n',
    'V2 \n',
    'GET\n',
    'GET \n',
    '\n',
    '\r\n',
    'V2 1 00000000 \n',
  ),
  someKey.map((key) => `GET ${key}\r\n`),
  someFrame.map(encodeFrame),
  fc
    .tuple(fc.constantFrom('GET', 'DELETE'), someKey)
    .map(([word, key]) => encodeFrame({ id: '0badcafe', word, payload: Buffer.from(key) })),
  fc.array(someKey, { maxLength: 3 }).map((words) =>
    encodeFrame({
      id: '0badcafe',
      word: 'PUT',
      payload: Buffer.from(words.map(base64).join(' ')),
    }),
  ),
  anyBytes(30).map((bytes) => bytes.toString('latin1')),
)

const port = suite('MetadataSession, whatever the port brings')
port('answers, and the same however it comes in pieces', () =>
  holds(
    200,
    fc.tuple(
      fc.array(someRequest, { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
    ),
    ([requests, sizes, onlyV1]) => {
      const bytes = Buffer.from(requests.join(''))
      const answersIn = (pieces: Iterable<Buffer>) => {
        const metadata = new Metadata(values)
        const session = new MetadataSession(metadata, { onlyV1 })
        const said = Buffer.concat([...pieces].map((piece) => session.feed(piece))).toString()
        assert.is(metadata.get('sdc:uuid'), 'an-id')
        assert.is(metadata.get('sdc:hostname'), 'web')
        assert.ok(!metadata.keys().some((key) => /^sdc:|_pw$/.test(key)))
        return said
      }
      const pieces: Buffer[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      const said = answersIn([bytes])
      assert.is(answersIn(pieces), said)
      assert.ok(said === '' || said.endsWith('\n'))
    },
  ),
)
port('keeps what was put, for clients of both versions', () =>
  holds(
    150,
    fc.array(
      fc.tuple(fc.constantFrom('PUT', 'DELETE'), fc.constantFrom('a', 'b c', 'ключ'), anyText(20)),
      { maxLength: 6 },
    ),
    (steps) => {
      const model = new Map<string, string>()
      const session = new MetadataSession(new Metadata({}))
      const ask = (word: string, text: string) => {
        const frame = encodeFrame({ id: '0badcafe', word, payload: Buffer.from(text) })
        const answer = decodeFrame(session.feed(Buffer.from(frame)).toString().trimEnd())!
        return [answer.word, answer.payload?.toString() ?? ''] as const
      }
      for (const [word, key, text] of steps) {
        const value = Buffer.from(text).toString() // halves of surrogate pairs are no text
        if (word === 'PUT') model.set(key, value)
        else model.delete(key)
        const asked = word === 'PUT' ? `${base64(key)} ${base64(value)}` : key
        assert.equal(ask(word, asked), ['SUCCESS', 'OK'])
      }
      assert.is(ask('KEYS', '')[1], [...model.keys()].join('\n'))
      for (const key of ['a', 'b c', 'ключ']) {
        const value = model.get(key)
        assert.equal(ask('GET', key), value === undefined ? ['NOTFOUND', ''] : ['SUCCESS', value])
        const said = session.feed(Buffer.from(`GET ${key}\n`)).toString()
        if (value === undefined) assert.is(said, 'NOTFOUND\n')
        else {
          const [first, ...lines] = said.split('\n')
          assert.is(first, 'SUCCESS')
          const end = lines.indexOf('.')
          assert.equal(lines.slice(end), ['.', ''])
          const read = lines.slice(0, end).map((line) => line.replace(/^\.\./, '.'))
          assert.is(read.join('\n'), value.replace(/\n$/, ''))
        }
      }
    },
  ),
)
port('without an end of line is read once, and forgotten when it is too much', () =>
  soon(() => {
    const session = new MetadataSession(new Metadata(values))
    const piece = Buffer.alloc(512, 'a')
    for (let bytes = 0; bytes < 20 * 2 ** 20; bytes += piece.length) {
      assert.is(session.feed(piece).length, 0)
    }
    assert.is(session.feed(Buffer.from('\nNEGOTIATE V2\n')).toString(), 'invalid command\nV2_OK\n')
  }),
)
port.run()

const seen: Seen = {
  boot: 'first boot',
  instance: makeInstance(1, ['ssh-ed25519 AAAAC3Nz of-instance-1']),
  earlier: new Map(),
  image: { name: 'debian-12', version: '20261121', volumeBytes: 10 * 2 ** 30 },
  diskBytes: 14 * 2 ** 30,
  dataBytes: 2 * 2 ** 30,
}
const checks = [...systemChecks, ...instanceChecks]
const WORDS = [
  'boot ',
  '17',
  ' /etc/x',
  'release ',
  'source ',
  'http://',
  'x:80',
  'status: ',
  'done',
  'detail: ',
  'ssh-rsa ',
  'ran',
  'inet ',
  'default via ',
  ' ',
  '0',
  '/dev/vdb ext4 99',
  'disk',
  'a'.repeat(32),
]
const guest = suite('what a guest answers')
guest('is judged, whatever it is', () =>
  holds(150, fc.tuple(linesOf(WORDS, 8), linesOf(WORDS, 8)), ([said, before]) => {
    for (const check of checks) {
      for (const boot of ['first boot', 'reboot', 'second generation'] as const) {
        const earlier = new Map([[check.name, before]])
        const { ok, evidence } = check.judge(said, { ...seen, boot, earlier })
        assert.type(ok, 'boolean')
        assert.type(evidence, 'string')
      }
    }
  }),
)
guest('is judged in time that grows with it', async () => {
  for (const piece of [
    'a',
    ' ',
    '\n',
    '1',
    'detail:',
    '1 /',
    'source ',
    'inet ',
    '1.1',
    'ssh-',
    '\tx',
  ]) {
    const said = piece.repeat(Math.ceil(200_000 / piece.length))
    for (const check of checks) await soon(() => check.judge(said, seen))
  }
})
guest('is taken apart again', () =>
  holds(
    150,
    fc.uniqueArray(
      fc.tuple(fc.stringMatching(/^[a-df-z][a-z-]{0,8}$/), fc.nat(99_999), anyText(30)),
      { selector: ([name]) => name, maxLength: 5 },
    ),
    (answers) => {
      const mark = '@@0123456789abcdef'
      const output = answers.map(([name, ms, said]) => `\n${mark} ${name} ${ms}\n${said}`).join('')
      const read = readAnswers(`a banner${output}\n${mark} end 0\n`, mark)
      assert.equal(
        [...read].map(([name, { said, seconds }]) => [name, Math.round(seconds * 1000), said]),
        answers,
      )
      readAnswers(output, mark)
    },
  ),
)
guest.run()
