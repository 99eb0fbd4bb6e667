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
