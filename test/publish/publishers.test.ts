import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import { parseArguments } from '../../lib/cli/options.ts'
import { directoriesOf, fullPath, isNewer, pointersOf } from '../../lib/publish/manta-layout.ts'
import { choosePublisher, PUBLISHER_NAMES, publisherOptions } from '../../lib/publish/publishers.ts'

const command = { name: 'x', summary: '', words: [], options: publisherOptions, examples: [] }
const choose = (name: (typeof PUBLISHER_NAMES)[number], words: string[], env = {}) =>
  choosePublisher(name, parseArguments(command, words, env).options, env)
const refuses = (work: () => unknown, message: RegExp) =>
  assert.throws(
    work,
    (error: unknown) => error instanceof UsageError && message.test(error.message),
  )

const choosing = suite('choosePublisher()')
choosing('takes the options of the one', () => {
  assert.ok(choose('imgapi', ['--url', 'http://x', '--channel', 'dev']))
  const words = ['--url', 'http://x', '--user', 'ops', '--path', '/public/x', '--force']
  assert.ok(choose('manta', words))
})
choosing('refuses those of another', () => {
  refuses(
    () => choose('imgapi', ['--url', 'http://x', '--path', '/x']),
    /--path does not fit --to imgapi/,
  )
  refuses(
    () => choose('imgapi', ['--url', 'http://x', '--force']),
    /--force does not fit --to imgapi/,
  )
  refuses(
    () => choose('manta', ['--url', 'http://x', '--channel', 'dev']),
    /--channel does not fit/,
  )
})
choosing('does not mind the variables of another', () => {
  const env = { IMGAPI_URL: 'http://x', MANTA_URL: 'http://y', MANTA_USER: 'ops' }
  assert.ok(choose('imgapi', [], env))
  refuses(() => choose('manta', [], env), /needs --path/)
})
choosing('refuses addresses with a password, without showing it', () => {
  refuses(() => choose('imgapi', ['--url', 'http://me:secret@x/']), /^(?!.*secret)/)
  refuses(() => choose('imgapi', [], { IMGAPI_URL: 'http://me:secret@x/' }), /^(?!.*secret)/)
  refuses(() => choose('imgapi', ['--url', 'x.example.com']), /has to start with http/)
  refuses(() => choose('imgapi', ['--url', 'http://x', '--user', 'a"b']), /Cannot use user/)
})
choosing.run()

const layout = suite('the layout in Manta')
layout('fullPath() reads what bits-upload does', () => {
  for (const [path, full] of [
    ['/ops/public/builds', '/ops/public/builds'],
    ['/ops/public/builds/', '/ops/public/builds'],
    ['~~/public/builds', '/ops/public/builds'],
    ['/public/builds', '/ops/public/builds'],
    ['/stor/builds', '/ops/stor/builds'],
    ['builds/my', '/ops/stor/builds/my'],
    ['/other/stor//x', '/other/stor/x'],
  ] as const) {
    assert.is(fullPath(path, 'ops'), full)
  }
  for (const path of ['/', '/public', '/ops/stor/', '/ops/jobs/x', '/public/../x', '~~/x']) {
    refuses(() => fullPath(path, 'ops'), /no directory below stor or public/)
  }
})
layout('directoriesOf() begins below stor', () => {
  assert.equal(directoriesOf('/ops/stor/a/b'), ['/ops/stor/a', '/ops/stor/a/b'])
})
layout('pointersOf() knows releases', () => {
  assert.equal(pointersOf('main'), ['main-latest'])
  assert.equal(pointersOf('release-20260508'), ['release-20260508-latest', 'latest-release'])
  assert.equal(pointersOf('release-x'), ['release-x-latest'])
})
layout('isNewer() compares times, and minds nothing else', () => {
  const stamp = 'main-20260508T120000Z-abc'
  assert.is(isNewer('/a/main-20260508T120001Z-aaa\n', stamp), true)
  assert.is(isNewer('/a/main-20260508T120000Z-fff\n', stamp), false)
  assert.is(isNewer('/a/main-20250508T120000Z-fff-dirty', stamp), false)
  assert.is(isNewer('something', stamp), false)
})
layout.run()
