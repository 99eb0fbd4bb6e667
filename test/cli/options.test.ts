import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import {
  type Command,
  type OptionTable,
  parseArguments,
  parseList,
  parseSize,
  parseUrl,
  usage,
} from '../../lib/cli/options.ts'

const command = {
  name: 'make',
  summary: 'Make a thing.',
  words: ['RELEASE'],
  options: {
    size: { arg: 'SIZE', default: '10G', parse: parseSize, help: 'how large' },
    disk: { arg: 'KIND', default: 'file', choices: ['file', 'zvol'], help: 'on what' },
    proxy: { arg: 'URL', env: ['a_proxy', 'A_PROXY'], help: 'through what' },
    install: { default: true, help: 'install nothing' },
    json: { help: 'as JSON' },
    help: { help: 'this' },
  },
  examples: ['make 12'],
} as const satisfies Command<OptionTable>

const parse = (...argv: string[]) => parseArguments(command, argv, {})
/** The message and hint of the usage error that a command line gives. */
function refusal(...argv: string[]): string {
  try {
    parse(...argv)
  } catch (error) {
    assert.instance(error, UsageError)
    return `${(error as UsageError).message} / ${(error as UsageError).hint}`
  }
  return 'accepted'
}

const parsing = suite('parseArguments()')
parsing('keeps releases as strings', () => {
  assert.equal(parse('10.10').words, ['10.10'])
  assert.equal(parse('012').words, ['012'])
})
parsing('fills in defaults', () => {
  const { options } = parse('12')
  assert.is(options.size, 10 * 1024 ** 3)
  assert.is(options.disk, 'file')
  assert.is(options.proxy, undefined)
  assert.is(options.install, true)
  assert.is(options.json, false)
})
parsing('reads values behind = and behind a blank, before and after words', () => {
  assert.is(parse('--size=2G', '12').options.size, 2 * 1024 ** 3)
  assert.is(parse('12', '--size', '2G').options.size, 2 * 1024 ** 3)
  assert.equal(parse('--json', '12').words, ['12'])
})
parsing('reads --no- switches', () => {
  assert.is(parse('12', '--no-install').options.install, false)
})
parsing('takes a value from the environment, the option first', () => {
  const env = { A_PROXY: 'http://upper' }
  assert.is(parseArguments(command, ['12'], env).options.proxy, 'http://upper')
  assert.is(parseArguments(command, ['12', '--proxy', 'x'], env).options.proxy, 'x')
})
for (const [argv, expected] of [
  [[], /Missing RELEASE/],
  [['12', '13'], /Unexpected argument "13"/],
  [['12', '--siez', '2G'], /Unknown option --siez .*Did you mean --size/],
  [['12', '--frobnicate'], /Unknown option --frobnicate .*--help/],
  [['12', '-x'], /Unknown option -x/],
  [['12', '--size'], /--size needs a value: SIZE/],
  [['12', '--size='], /--size needs a value/],
  [['12', '--proxy', '--json'], /--proxy needs a value/],
  [['12', '--size', '1G', '--size', '2G'], /--size is given 2 times/],
  [['12', '--size', 'big'], /Cannot read size "big"/],
  [['12', '--disk', 'tape'], /Unknown --disk "tape": choose file or zvol/],
] as [string[], RegExp][]) {
  parsing(`refuses "${argv.join(' ')}"`, () => assert.match(refusal(...argv), expected))
}
parsing('asks for no words when help is wanted', () => {
  assert.is(parse('--help').options.help, true)
})
parsing.run()

const text = suite('usage()')
text('has a line per option, with choices, defaults and environment', () => {
  const lines = usage(command)
  assert.match(lines, /--size SIZE +how large \(default 10G\)/)
  assert.match(lines, /--disk KIND +on what \(file \| zvol; default file\)/)
  assert.match(lines, /--proxy URL +through what \(or \$a_proxy, \$A_PROXY\)/)
  assert.match(lines, /--no-install +install nothing/)
  assert.match(lines, /Examples:\n {2}make 12/)
})
text.run()

const values = suite('parseSize(), parseList(), parseUrl()')
values('sizes', () => {
  assert.is(parseSize('20480M'), 20 * 1024 ** 3)
  assert.is(parseSize('1TiB'), 1024 ** 4)
  for (const wrong of ['', '10', '1.5G', '-1G', '0G', '10g', '99999999T', '10Gx']) {
    assert.throws(() => parseSize(wrong), /Cannot read size/, wrong)
  }
})
values('lists', () => assert.equal(parseList(' a,b  c,,'), ['a', 'b', 'c']))
values('addresses', () => {
  assert.is(parseUrl('http://x:3128'), 'http://x:3128')
  for (const wrong of ['x', 'ftp://x', 'http//x', '']) {
    assert.throws(() => parseUrl(wrong), /has to start with http/, wrong)
  }
})
values.run()
