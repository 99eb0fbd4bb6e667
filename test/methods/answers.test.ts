import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fillAnswers } from '../../lib/methods/answers.ts'

const fill = suite('fillAnswers()')
fill('puts values in, several on a line', () => {
  assert.is(fillAnswers('a @X@ b @Y_2@\nc', { X: '1', Y_2: '$& two' }, 'f'), 'a 1 b $& two\nc')
})
fill('keeps a conditional line only where its value is not empty', () => {
  const text = '@?MIRROR@ mirror @MIRROR@\n@?PROXY@ proxy @PROXY@\nend'
  assert.is(fillAnswers(text, { MIRROR: 'm', PROXY: '' }, 'f'), 'mirror m\nend')
})
fill('has lines for what is not there, and under several conditions', () => {
  const text = '@!DVD@ url @URL@\n@!DVD@ @?PROXY@ proxy @PROXY@\n@?DVD@ cdrom'
  assert.is(fillAnswers(text, { DVD: '', URL: 'u', PROXY: 'p' }, 'f'), 'url u\nproxy p')
  assert.is(fillAnswers(text, { DVD: '', URL: 'u', PROXY: '' }, 'f'), 'url u')
  assert.is(fillAnswers(text, { DVD: 'y', URL: 'u', PROXY: 'p' }, 'f'), 'cdrom')
})
fill('makes a line of each entry of a list', () => {
  assert.is(
    fillAnswers('%packages\n@LIST@\n%end', { LIST: ['a', 'b'] }, 'f'),
    '%packages\na\nb\n%end',
  )
})
fill('leaves comments, and what only looks like a token', () => {
  const text = '# @NAME@ is a name\nmail me@host and you@host, user@@x'
  assert.is(fillAnswers(text, {}, 'f'), text)
})
fill('refuses a token that nobody knows', () => {
  assert.throws(() => fillAnswers('x @OOPS@', {}, 'my.cfg'), /Unknown token @OOPS@ in my\.cfg/)
  assert.throws(() => fillAnswers('@?OOPS@ x', {}, 'my.cfg'), /Unknown token @OOPS@ in my\.cfg/)
})
fill('refuses a value that would become another line', () => {
  assert.throws(() => fillAnswers('x @X@', { X: 'a\nd-i evil' }, 'f'), /more than a line/)
})
fill.run()
