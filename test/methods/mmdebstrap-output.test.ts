import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import {
  followMmdebstrap,
  mmdebstrapError,
  releaseIsGone,
} from '../../lib/methods/mmdebstrap-output.ts'

const following = suite('followMmdebstrap()')
following('goes from 0 to 1 without a step back through a real log', async () => {
  const log = await readFile(new URL('../fixtures/mmdebstrap.log', import.meta.url), 'utf8')
  const follow = followMmdebstrap()
  const news = log.split('\n').flatMap((line) => [follow(line)].filter((one) => one !== undefined))
  const fractions = news.map(([fraction]) => fraction)
  assert.ok(news.length > 20)
  assert.equal(
    fractions,
    fractions.slice().sort((a, b) => a - b),
  )
  assert.is(fractions[0], 0)
  assert.ok(fractions.at(-1)! >= 0.9 && fractions.at(-1)! <= 1)
  assert.ok(news.some(([, note]) => note === 'unpacking adduser'))
})
following.run()

const errors = suite('mmdebstrapError()')
for (const [output, message, hint] of [
  [
    'I: running apt-get update...\nErr:1 http://127.0.0.1:9 bookworm InRelease\n' +
      '  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)\n' +
      'E: Failed to fetch http://127.0.0.1:9/x  Could not connect to 127.0.0.1:9\n' +
      'E: Some index files failed to download.\nE: apt-get update failed',
    /Cannot install packages: Failed to fetch http:\/\/127.0.0.1:9\/x {2}Could not connect/,
    /network, --mirror and --proxy/,
  ],
  [
    "E: The repository 'http://m/debian bookworm Release' does not have a Release file.\nE: apt-get update failed",
    /does not have a Release file/,
    /--mirror/,
  ],
  ['E: Unable to locate package nonesuch\nE: mmdebstrap failed', /nonesuch/, /--include/],
  [
    'dpkg: error processing x\n cannot copy: No space left on device\nE: x: No space left on device',
    /No space/,
    /disk is full/,
  ],
  [
    'before\nhybrid-images: my.sh begins\nhello\nI: x\nsomething broke\nhybrid-images: my.sh exited with status 3\nE: run_chroot failed',
    /^In the new system my\.sh exited with status 3: something broke$/,
    /^Its last lines:\n {4}hello\n {4}something broke$/,
  ],
  ['E: File has unexpected size (5 != 6). Mirror sync in progress?', /unexpected size/, /damaged/],
  ['', /Cannot install packages: no output/, /--verbose/],
] as [string, RegExp, RegExp][]) {
  errors(`of ${JSON.stringify(output.slice(0, 40))}`, () => {
    const error = mmdebstrapError(output)
    assert.match(error.message, message)
    assert.match(error.hint ?? '', hint)
    assert.is(error.message.split('\n').length, 1)
  })
}
errors.run()

const gone = suite('releaseIsGone()')
gone('only when the mirror answers without the release', () => {
  assert.ok(releaseIsGone("E: The repository 'x' does not have a Release file."))
  assert.not(releaseIsGone('E: Could not connect'))
})
gone.run()
