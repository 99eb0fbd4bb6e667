import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { beginLine, endLine, explainScript, scriptLabel } from '../../lib/methods/script-failure.ts'

const ended = (lines: string[], label = 'my.sh', status = '7') =>
  explainScript(['before', beginLine(label), ...lines, endLine(label, status), 'after'].join('\n'))

const explaining = suite('explainScript()')
explaining('says nothing while no script has failed', () => {
  assert.is(explainScript(`boot\n${beginLine('a.sh')}\nfine\n`), undefined)
})
explaining('names the script, its status, its last word', () => {
  assert.equal(ended(['about to fail', 'because of this']), {
    what: 'my.sh exited with status 7: because of this',
    hint: 'Its last lines:\n    about to fail\n    because of this',
  })
  assert.equal(ended([]), { what: 'my.sh exited with status 7', hint: undefined })
})
explaining('prefers what calls itself an error', () => {
  assert.is(
    ended(['E: no such package', 'cleaning up'])!.what,
    'my.sh exited with status 7: E: no such package',
  )
})
explaining('shows twenty lines, and none of another script', () => {
  const many = Array.from({ length: 30 }, (_, i) => `line ${i}`)
  const { hint } = ended(['', ...many])!
  const lines = hint!.split('\n')
  assert.is(lines.length, 21)
  assert.is(lines[1], '    line 10')
  assert.not.match(hint!, /before|after/)
})
explaining('finds them behind the words of a log', () => {
  const log = (line: string) => `Nov 29 22:10:11 in-target: ${line}`
  const text = [beginLine('a.sh'), 'no disk', endLine('a.sh', '2')].map(log).join('\n')
  assert.is(
    explainScript(text)!.what,
    'a.sh exited with status 2: Nov 29 22:10:11 in-target: no disk',
  )
})
explaining('knows a full disk', () => {
  assert.match(
    ended(['cp: No space left on device', 'sorry'])!.hint!,
    /^--size gives .*\n  Its last/,
  )
})
explaining.run()

const label = suite('scriptLabel()')
label('is one word', () => assert.is(scriptLabel('my script (1).sh'), 'my_script__1_.sh'))
label.run()
