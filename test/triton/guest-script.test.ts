import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { checks } from '../../lib/triton/checks.ts'
import { guestScript, readAnswers } from '../../lib/triton/guest-script.ts'

const script = suite('guestScript() and readAnswers()')
const run = (text: string) => spawnSync('sh', ['-s'], { input: text, encoding: 'utf8' })

script('brings each answer home, whatever it says', () => {
  const asked = [
    { name: 'plain', ask: 'echo one; echo two' },
    { name: 'silent', ask: ':' },
    { name: 'failing', ask: 'echo before; false; echo after; exit 3' },
    { name: 'loud', ask: `printf '%%s \\\\n 100%%\\n' >&2` },
    { name: 'reading', ask: 'cat' },
    { name: 'quoting', ask: `printf '%s\\n' "it's" '"$HOME"'` },
  ]
  const { stdout, status } = run(guestScript(asked, '@@mark'))
  assert.is(status, 0)
  const answers = readAnswers(stdout, '@@mark')
  const said = Object.fromEntries([...answers].map(([name, answer]) => [name, answer.said]))
  assert.equal(said, {
    plain: 'one\ntwo',
    silent: '',
    failing: 'before\nafter',
    loud: '%s \\n 100%',
    reading: '',
    quoting: `it's\n"$HOME"`,
  })
})
script('tells how long each took', () => {
  const { stdout } = run(guestScript([{ name: 'slow', ask: 'sleep 0.2' }], '@@mark'))
  const { seconds } = readAnswers(stdout, '@@mark').get('slow')!
  assert.ok(seconds >= 0.2 && seconds < 30, `${seconds}`)
})
script('leaves out what an interruption cut off', () => {
  const asked = [
    { name: 'first', ask: 'echo 1' },
    { name: 'second', ask: 'kill -9 $$' },
    { name: 'third', ask: 'echo 3' },
  ]
  const answers = readAnswers(run(guestScript(asked, '@@mark')).stdout, '@@mark')
  assert.equal([...answers.keys()], ['first'])
})
script('is sound shell for every check', () => {
  const { status, stderr } = spawnSync('sh', ['-n'], {
    input: guestScript(checks, '@@mark'),
    encoding: 'utf8',
  })
  assert.is(status, 0, stderr)
})
script.run()
