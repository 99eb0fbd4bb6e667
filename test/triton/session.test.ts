import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeFrame, encodeFrame } from '../../lib/triton/frames.ts'
import { Metadata } from '../../lib/triton/metadata.ts'
import { type MetadataRequest, MetadataSession } from '../../lib/triton/session.ts'

const values = {
  'sdc:uuid': 'an-id',
  root_pw: 'secret',
  'user-script': '#!/bin/sh\necho ä\n',
  dots: '.\n..two\nend',
  empty: '',
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

function conversation(options: { onlyV1?: boolean } = {}) {
  const metadata = new Metadata(values)
  const requests: MetadataRequest[] = []
  const onRequest = (request: MetadataRequest) => requests.push(request)
  const session = new MetadataSession(metadata, { ...options, onRequest })
  const say = (text: string) => session.feed(Buffer.from(text, 'latin1')).toString()
  /** Word and value of the answer to a request of version 2. */
  const ask = (word: string, text?: string) => {
    const payload = text === undefined ? undefined : Buffer.from(text)
    const answer = decodeFrame(say(encodeFrame({ id: '0badcafe', word, payload })).trimEnd())!
    assert.is(answer.id, '0badcafe')
    return [answer.word, answer.payload?.toString()]
  }
  return { metadata, requests, say, ask }
}

const v2 = suite('MetadataSession, version 2')
v2('greets a client', () => {
  const { say } = conversation()
  assert.is(say('\n'), 'invalid command\n')
  assert.is(say('NEGOTIATE V2\n'), 'V2_OK\n')
})
v2('gets a value, the instance’s own included', () => {
  const { ask } = conversation()
  assert.equal(ask('GET', 'sdc:uuid'), ['SUCCESS', 'an-id'])
  assert.equal(ask('GET', 'user-script'), ['SUCCESS', values['user-script']])
  assert.equal(ask('GET', 'empty'), ['SUCCESS', undefined])
  assert.equal(ask('GET', 'root_pw'), ['SUCCESS', 'secret'])
})
v2('says when there is none', () => {
  assert.equal(conversation().ask('GET', 'nothing'), ['NOTFOUND', undefined])
  assert.equal(conversation().ask('GET', 'toString'), ['NOTFOUND', undefined])
})
v2('lists what is the customer’s, without passwords', () => {
  assert.equal(conversation().ask('KEYS'), ['SUCCESS', 'user-script\ndots\nempty'])
})
v2('puts and deletes', () => {
  const { ask } = conversation()
  const put = `${base64('a key')} ${base64('a\nvalue ')}`
  assert.equal(ask('PUT', put), ['SUCCESS', 'OK'])
  assert.equal(ask('GET', 'a key'), ['SUCCESS', 'a\nvalue '])
  assert.equal(ask('PUT', `${base64('none')} `), ['SUCCESS', 'OK'])
  assert.equal(ask('GET', 'none'), ['SUCCESS', undefined])
  assert.equal(ask('DELETE', 'a key'), ['SUCCESS', 'OK'])
  assert.is(ask('GET', 'a key')[0], 'NOTFOUND')
})
v2('refuses to change what describes the instance', () => {
  const { ask, metadata } = conversation()
  assert.is(ask('PUT', `${base64('sdc:uuid')} ${base64('x')}`)[0], 'FAILURE')
  assert.is(ask('DELETE', 'sdc:uuid')[0], 'FAILURE')
  assert.is(metadata.get('sdc:uuid'), 'an-id')
  assert.is(ask('PUT', ` ${base64('x')}`)[0], 'FAILURE')
  assert.is(ask('STEAL', 'x')[0], 'FAILURE')
})
v2('takes requests in pieces, and several in one', () => {
  const { say, requests } = conversation()
  const request = encodeFrame({ id: '00000001', word: 'GET', payload: Buffer.from('dots') })
  const answers = [...request].map((byte) => say(byte)).join('')
  assert.match(answers, / 00000001 SUCCESS /)
  assert.is(say(request + request).split('\n').length - 1, 2)
  assert.is(requests.length, 3)
})
v2('is silent on damaged frames', () => {
  const { say, requests } = conversation()
  assert.is(say('V2 21 a0cc09ff dc4fae17 GET dGVzdA==\n'), '')
  assert.is(say('V2 garbage\n'), '')
  assert.is(requests.length, 0)
})
v2('refuses whatever else is on the line, and goes on', () => {
  const { say, ask } = conversation()
  assert.is(say('\x1b[2J\x1b[01;01HBdsDxe: starting Boot0001\r\n'), 'invalid command\n')
  say('\xff\xfe\x00 half a line')
  assert.is(say('\n'), 'invalid command\n')
  assert.equal(ask('GET', 'sdc:uuid'), ['SUCCESS', 'an-id'])
})
v2('forgets a line that never ends', () => {
  const { say, ask } = conversation()
  for (let i = 0; i < 20; i++) assert.is(say('x'.repeat(1024 ** 2)), '')
  assert.is(say('\n'), 'invalid command\n')
  assert.equal(ask('GET', 'sdc:uuid'), ['SUCCESS', 'an-id'])
})
v2('carries large values', () => {
  const { ask } = conversation()
  const value = 'ü'.repeat(500_000)
  assert.equal(ask('PUT', `${base64('large')} ${base64(value)}`), ['SUCCESS', 'OK'])
  assert.equal(ask('GET', 'large'), ['SUCCESS', value])
})
v2.run()

const v1 = suite('MetadataSession, version 1')
v1('does not know version 2 when it is old', () => {
  const { say } = conversation({ onlyV1: true })
  assert.is(say('NEGOTIATE V2\n'), 'invalid command\n')
  assert.is(say('V2 17 11525eac dc4fae17 NOTFOUND\n'), 'invalid command\n')
})
v1('gets a value, ended by a dot', () => {
  const { say } = conversation()
  assert.is(say('GET sdc:uuid\r\n'), 'SUCCESS\nan-id\n.\n')
  assert.is(say('GET dots\n'), 'SUCCESS\n..\n...two\nend\n.\n')
  assert.is(say('GET empty\n'), 'SUCCESS\n.\n')
  assert.is(say('GET nothing\n'), 'NOTFOUND\n')
})
v1('lists keys, and changes nothing', () => {
  const { say } = conversation()
  assert.is(say('KEYS\n'), 'SUCCESS\nuser-script\ndots\nempty\n.\n')
  assert.is(say('DELETE dots\n'), 'invalid command\n')
  assert.is(say('GET\n'), 'invalid command\n')
})
v1.run()
