import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { harmless } from '../../lib/cli/harmless.ts'
import { log } from '../../lib/cli/log.ts'
import { parseUrl } from '../../lib/cli/options.ts'
import { columns } from '../../lib/image/fleet.ts'

/** What is written to standard error meanwhile. */
function written(work: () => void): string {
  const write = process.stderr.write.bind(process.stderr)
  let text = ''
  process.stderr.write = (piece: string | Uint8Array) => {
    text += piece
    return true
  }
  try {
    work()
  } finally {
    process.stderr.write = write
  }
  return text
}

const showing = suite('harmless()')
showing('shows what a terminal would obey', () => {
  for (const [text, shown] of [
    ['\x1b]0;owned\x07', '\\x1b]0;owned\\x07'], // renames the window
    ['\x1b[2J\x1bc', '\\x1b[2J\\x1bc'], // clears it
    ['\x1bP$q"p\x1b\\', '\\x1bP$q"p\\x1b\\'], // has it answer, as if somebody typed
    ['\x9b31m\x90', '\\x9b31m\\x90'], // the same in one byte
    ['a\rb\bc\x7f', 'a\\x0db\\x08c\\x7f'], // covers what was said before
    ['name\u202egpj.exe', 'name\\u202egpj.exe'], // turns the direction
    ['tab\tand\nlines stay, ä ☃ 𝄞 too', 'tab\tand\nlines stay, ä ☃ 𝄞 too'],
  ] as const) {
    assert.is(harmless(text), shown)
  }
})
showing('is done to every line of the log, and to tables', () => {
  assert.is(
    written(() => log.info('guest: \x1b]52;c;AAAA\x07')),
    'guest: \\x1b]52;c;AAAA\\x07\n',
  )
  assert.is(
    columns([
      ['A', 'B'],
      ['\x1b[1m', 'b'],
    ]),
    'A        B\n\\x1b[1m  b',
  )
})
showing.run()

const addresses = suite('parseUrl()')
addresses('does not repeat a password that it refuses', () => {
  for (const text of ['me:s3cret@proxy:3128', 'ftp://me:s3cret@proxy/', 'me:s3@cret@proxy']) {
    try {
      parseUrl(text)
      assert.unreachable()
    } catch (error) {
      assert.match((error as Error).message, /^Cannot read address ".*\*\*\*@proxy/)
      assert.not.match((error as Error).message, /s3|cret/)
    }
  }
})
addresses.run()
