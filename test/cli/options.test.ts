import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import {
  type Command,
  type OptionTable,
  parseArguments,
  parseCount,
  parseList,
  parseName,
  parseSeconds,
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

const values = suite('parseSize(), parseSeconds(), parseList(), parseUrl()')
values('sizes', () => {
  assert.is(parseSize('20480M'), 20 * 1024 ** 3)
  assert.is(parseSize('1TiB'), 1024 ** 4)
  for (const wrong of ['', '10', '1.5G', '-1G', '0G', '10g', '99999999T', '10Gx']) {
    assert.throws(() => parseSize(wrong), /Cannot read size/, wrong)
  }
})
values('times', () => {
  for (const [text, seconds] of [
    ['5400', 5400],
    ['90s', 90],
    ['90m', 5400],
    ['1h', 3600],
    ['1h30m5', 5405],
  ] as const) {
    assert.is(parseSeconds(text), seconds)
  }
  for (const wrong of ['', '0', '1d', 'h', '30m1h', '-5', '1.5h']) {
    assert.throws(() => parseSeconds(wrong), /Cannot read time/, wrong)
  }
})
values('lists', () => assert.equal(parseList(' a,b  c,,'), ['a', 'b', 'c']))
values('addresses', () => {
  assert.is(parseUrl('http://x:3128'), 'http://x:3128')
  for (const wrong of ['x', 'ftp://x', 'http//x', '']) {
    assert.throws(() => parseUrl(wrong), /has to start with http/, wrong)
  }
})
values('addresses with a password that programs would not read as one are refused, unseen', () => {
  for (const wrong of ['http://ci:ab/cd@proxy:3128', 'http://me:pa"ss@proxy', 'me:ab/cd@proxy']) {
    try {
      parseUrl(wrong)
      assert.unreachable(wrong)
    } catch (error) {
      assert.match((error as Error).message, /^Cannot read address "(http:\/\/)?\*\*\*@proxy/)
    }
  }
  assert.throws(() => parseUrl('http://:secret@proxy'), /^(?!.*secret).*a password and no name/)
})
values.run()

const classic = {
  name: 'classic',
  summary: 'With short names.',
  words: [],
  rest: 'QEMUARGS',
  options: {
    iso: { short: 'i', arg: 'ISO', required: true, help: 'from what' },
    name: { short: 'n', arg: 'NAME', required: true, parse: parseName, help: 'called what' },
    quiet: { short: 'q', help: 'say less' },
    help: { short: 'h', help: 'this' },
  },
  examples: ['classic -i a.iso -n a'],
} as const satisfies Command<OptionTable>

const message = (...argv: string[]) => {
  try {
    parseArguments(classic, argv, {})
  } catch (error) {
    assert.instance(error, UsageError)
    return (error as UsageError).message
  }
  return 'accepted'
}

const more = suite('parseArguments(), more words')
more('takes any number of them where the command does, behind the first', () => {
  const stages = { ...command, more: 'STAGE' }
  assert.equal(parseArguments(stages, ['12', 'fetch', '--json', 'image']).words, [
    '12',
    'fetch',
    'image',
  ])
  assert.equal(parseArguments(stages, ['12']).words, ['12'])
  assert.throws(() => parseArguments(stages, []), /Missing RELEASE/)
  assert.throws(() => parseArguments(command, ['12', 'fetch']), /Unexpected argument "fetch"/)
  assert.match(usage(stages), /^Usage: \S+ RELEASE \[STAGE \.\.\.\] \[options\]/)
})
more.run()

const many = suite('parseArguments(), lists')
const list = {
  ...command,
  options: {
    ...command.options,
    set: { arg: 'N=V', many: true, help: 'one of many' },
    number: { arg: 'N', many: true, parse: parseCount, help: 'how many' },
  },
  sections: [{ title: 'To be set', rows: [['a=1', 'the first']] }],
} as const satisfies Command<OptionTable>
many('gives all values in their order, parsed; none where it is not given', () => {
  const { options } = parseArguments(list, ['--set', 'a=1', '12', '--set=b=2'], {})
  assert.equal(options.set, ['a=1', 'b=2'])
  assert.equal(options.number, [])
  assert.equal(parseArguments(list, ['12', '--number', '3'], {}).options.number, [3])
})
many('refuses one without a value, and one that is wrong', () => {
  assert.throws(
    () => parseArguments(list, ['12', '--set', 'a', '--set'], {}),
    /--set needs a value/,
  )
  assert.throws(() => parseArguments(list, ['12', '--number', 'x'], {}), /Cannot read number "x"/)
})
many('is said in the usage text, with what may be set in a section of its own', () => {
  const text = usage(list)
  assert.match(text, /--set N=V +one of many \(may be given many times\)/)
  assert.match(text, /\n\nTo be set:\n {2}a=1 {2}the first\n\nExamples:/)
})
many.run()

const short = suite('parseArguments(), short names and words for others')
short('takes short and long forms alike', () => {
  for (const argv of [
    ['-i', 'a.iso', '-n', 'my.image', '-q'],
    ['--iso', 'a.iso', '--name=my.image', '--quiet'],
  ]) {
    const { options } = parseArguments(classic, argv, {})
    assert.equal([options.iso, options.name, options.quiet], ['a.iso', 'my.image', true])
  }
  assert.is(parseArguments(classic, ['-i', 'a', '-n', 'b'], {}).options.quiet, false)
})
short('hands over what follows -- in its order, whatever it looks like', () => {
  const rest = ['-i', '/x', '--name', '-q', '--', '-append', 'a b']
  const parsed = parseArguments(classic, ['-i', 'a.iso', '-n', 'b', '--', ...rest], {})
  assert.equal(parsed.rest, rest)
  assert.equal([parsed.options.iso, parsed.options.quiet], ['a.iso', false])
  assert.match(refusal('12', '--', '-kernel'), /Unexpected argument "-kernel"/)
})
short('misses what is required, by its long name', () => {
  assert.is(message('-i', 'a.iso'), 'Missing --name NAME')
  assert.is(message('-n', 'a'), 'Missing --iso ISO')
  assert.is(message('-h'), 'accepted')
})
short('refuses what is unknown, given twice or empty, in either form', () => {
  assert.match(message('-i', 'a', '-n', 'b', '-x'), /Unknown option -x/)
  assert.match(message('-i', 'a', '--iso', 'b', '-n', 'c'), /given 2 times/)
  assert.match(message('-i', '-n', 'c'), /needs a value/)
  assert.match(message('-i', 'a', '-n', '../b'), /Cannot use name "\.\.\/b"/)
})
short('shows them', () => {
  const text = usage(classic)
  assert.match(text, /^Usage: classic -i ISO -n NAME \[options\] \[-- QEMUARGS\.\.\.\]$/m)
  assert.match(text, /^ {2}-i, --iso ISO +from what \(required\)$/m)
  assert.match(text, /^ {2}-q, --quiet +say less$/m)
})
short.run()

const counts = suite('parseCount()')
counts('takes whole numbers above zero', () => {
  assert.is(parseCount('14400'), 14400)
  for (const text of ['0', '-1', '1.5', '1e3', '', 'x', '9999999999']) {
    assert.throws(() => parseCount(text), /whole number above zero/, text)
  }
})
counts.run()
