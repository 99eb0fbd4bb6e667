/** Whatever stands on a command line, in a variable file or in the environment: options, or a usage error. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import { openEvents } from '../../lib/cli/events.ts'
import {
  type Command,
  commonOptions,
  type OptionTable,
  parseArguments,
  parseCount,
  parseList,
  parseName,
  parseSeconds,
  parseSize,
  parseUrl,
} from '../../lib/cli/options.ts'
import { redact } from '../../lib/cli/redact.ts'
import { shellCommand, shellWord } from '../../lib/cli/shell-words.ts'
import { imageOptions } from '../../lib/image/image-options.ts'
import { makeStamp, parseStamp, stampText } from '../../lib/image/stamp.ts'
import { imgapiOptions } from '../../lib/publish/imgapi.ts'
import { libvirtOptions } from '../../lib/publish/libvirt.ts'
import { maasOptions } from '../../lib/publish/maas.ts'
import { mantaOptions } from '../../lib/publish/manta.ts'
import { parseSubnet, subnetText } from '../../lib/host/network/subnet.ts'
import { libvirt } from '../../lib/targets/libvirt.ts'
import { resolveVariables, variableOptions } from '../../lib/targets/variables.ts'
import { anyText, fc, holds, isLine, linesOf, soon, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'

const command = {
  name: 'make',
  summary: 'Make a thing.',
  words: ['RELEASE'],
  options: { ...imageOptions, ...variableOptions, ...commonOptions },
  examples: ['make 12'],
} as const satisfies Command<OptionTable>
const table: OptionTable = command.options
const names = Object.keys(table)

/** Only bad usage may come of words. */
async function asUsage<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  let result: T | undefined
  const error = await told(async () => (result = await work()))
  if (error) assert.instance(error, UsageError)
  return result
}

const someWord = fc.oneof(
  fc.constantFrom(...names.map((name) => `--${name}`), ...names.map((name) => `--no-${name}`)),
  fc.tuple(fc.constantFrom(...names), anyText(8)).map(([name, text]) => `--${name}=${text}`),
  fc.constantFrom(
    '--',
    '-',
    '',
    '-h',
    '-hh',
    '-h=1',
    '-x',
    '12',
    '10G',
    'bits',
    '--=',
    '---',
    '-1',
  ),
  fc.constantFrom(
    '--__proto__=1',
    '--constructor',
    '--toString=x',
    '--size.a=1',
    '--help.__proto__.x=1',
    '-_',
  ),
  anyText(10),
)

const commandLine = suite('parseArguments(), whatever the words are')
commandLine('gives options or a usage error', () =>
  holds(
    400,
    fc.tuple(fc.array(someWord, { maxLength: 6 }), fc.boolean()),
    async ([argv, release]) => {
      const read = await asUsage(() =>
        parseArguments(command, release ? ['12', ...argv] : argv, {}),
      )
      if (!read) return
      assert.equal(Object.keys(read.options).sort(), [...names].sort())
      for (const [name, row] of Object.entries(table)) {
        const value: unknown = read.options[name as keyof typeof read.options]
        if (!row.arg) assert.type(value, 'boolean', name)
        else if (row.many) assert.ok(Array.isArray(value), name)
        else if (!row.parse) assert.ok(value === undefined || typeof value === 'string', name)
        if (row.default !== undefined) assert.is.not(value, undefined, name)
        if (row.choices && value !== undefined) assert.ok(row.choices.includes(value as string))
      }
      assert.ok(read.words.every((word) => typeof word === 'string'))
      assert.is(({} as Record<string, unknown>)['x'], undefined)
    },
  ),
)

// Options that take any text.
const texts = ['customize', 'output', 'keyring', 'iso', 'base', 'answers', 'files'] as const
commandLine('has the value that was given, whatever is in it', () =>
  holds(
    200,
    fc.tuple(
      fc.uniqueArray(fc.constantFrom(...texts)),
      fc.array(anyText(20).filter(Boolean), { minLength: 7, maxLength: 7 }),
      fc.array(fc.tuple(fc.constantFrom('a', 'b_c'), anyText(10)), { maxLength: 3 }),
    ),
    ([given, values, assigned]) => {
      const { options, words } = parseArguments(
        command,
        [
          ...given.map((name, i) => `--${name}=${values[i]}`),
          ...assigned.map(([name, value]) => `--var=${name}=${value}`),
          '12',
        ],
        {},
      )
      assert.equal(words, ['12'])
      for (const name of texts) {
        const at = given.indexOf(name)
        const fallback = name === 'output' ? 'bits' : undefined
        assert.is(options[name], at < 0 ? fallback : values[at])
      }
      assert.equal(options.var, assigned)
    },
  ),
)
commandLine.run()

const values = suite('values of options, whatever the text is')
values('reads a size, count or time as what it says, and refuses the rest', () =>
  holds(
    300,
    fc.oneof(
      fc.stringMatching(/^\d{1,18}[MGTKhms]?(i?B)?$/),
      fc.stringMatching(/^(\d{1,5}h)?(\d{1,6}m)?(\d{1,10}s)?$/),
      anyText(12),
    ),
    async (text) => {
      const size = await asUsage(() => parseSize(text))
      const [, digits, unit] = /^0*(\d+)(.)/.exec(text) ?? []
      if (size !== undefined) {
        const bits = { M: 20n, G: 30n, T: 40n }[unit as 'M'] ?? 0n
        assert.is(BigInt(size), BigInt(digits!) << bits)
      }
      const count = await asUsage(() => parseCount(text))
      if (count !== undefined) assert.is(String(count), text)
      const seconds = await asUsage(() => parseSeconds(text))
      if (seconds !== undefined) assert.ok(Number.isSafeInteger(seconds) && seconds > 0)
    },
  ),
)
values('takes names that are a file of their own directory', () =>
  holds(200, fc.oneof(anyText(12), fc.stringMatching(/^[a.\-_/]{0,5}$/)), async (text) => {
    const name = await asUsage(() => parseName(text))
    if (name !== undefined) assert.is(join('/dir', name).replace(/^\/dir\//, ''), text)
    assert.ok(parseList(text).every((word) => word !== '' && !/[\s,]/.test(word)))
  }),
)
values('takes addresses that can stand in a file and in a command as they are', () =>
  holds(
    400,
    fc.oneof(
      fc.webUrl({ withQueryParameters: true }),
      fc
        .tuple(
          fc.constantFrom('http', 'https', 'HTTP', 'ftp', 'file', ' http', 'javascript', 'http\n'),
          fc.constantFrom('://', ':', ':/', ':////', ':\\\\'),
          fc.oneof(anyText(8), fc.constantFrom('a', '[', '[::1]:80', 'a:99999', 'u:p@a', '%zz')),
          fc.oneof(anyText(8), fc.constantFrom('/x', '/x\n', ' ', '/"')),
        )
        .map((parts) => parts.join('')),
    ),
    async (text) => {
      const url = await asUsage(() => parseUrl(text))
      if (url === undefined) return
      assert.match(url, /^https?:\/\/[^/]/i)
      assert.ok(isLine(url) && !/\s/.test(url))
      assert.match(new URL(url).protocol, /^https?:$/)
    },
  ),
)
values('of every option are a value, or a usage error', () => {
  const tables: OptionTable[] = [
    imageOptions,
    variableOptions,
    imgapiOptions,
    libvirtOptions,
    maasOptions,
    mantaOptions,
  ]
  const rows = tables.flatMap((one) => Object.values(one).filter(({ parse }) => parse))
  const parsers = [...new Set(rows.map(({ parse }) => parse!))]
  return holds(150, anyText(12), async (text) => {
    for (const parse of parsers) await asUsage(() => parse(text))
  })
})
values('reads a subnet as it is written', () =>
  holds(
    150,
    fc.oneof(anyText(8), fc.stringMatching(/^\d{1,3}\.\d{1,3}\.\d{1,2}\.0\/\d{1,2}$/)),
    async (text) => {
      const subnet = await asUsage(() => parseSubnet(text))
      if (subnet) assert.is(subnetText(subnet), text.replaceAll(/\b0+(?=\d)/g, ''))
    },
  ),
)
values.run()

const variables = suite('resolveVariables(), whatever is given')
variables('gives every variable a value of its pattern, or a usage error', () =>
  inTemporaryDir((dir) =>
    holds(
      150,
      fc.tuple(
        fc.option(
          linesOf(
            [
              ...Object.keys(libvirt.variables),
              ': ',
              'yes',
              '100',
              '- ',
              '[',
              '&a ',
              '*a',
              '{',
              '}',
              '!!',
              '? ',
              '"',
            ],
            6,
          ),
          { nil: undefined },
        ),
        fc.array(
          fc.tuple(fc.constantFrom(...Object.keys(libvirt.variables), 'toString'), anyText(6)),
          {
            maxLength: 2,
          },
        ),
      ),
      async ([text, assigned]) => {
        const file = text === undefined ? undefined : join(dir, 'variables')
        if (file) await writeFile(file, text!)
        const given = { var: assigned, 'var-file': file }
        const found = await asUsage(() => resolveVariables('libvirt', libvirt.variables, given))
        if (!found) return
        for (const [name, { pattern }] of Object.entries(libvirt.variables)) {
          assert.match(found[name]!, pattern)
        }
      },
    ),
  ),
)
variables('judges long values at once', async () => {
  for (const piece of ['a', 'a,', 'a ', 'en* ', 'rsa,', ' ', '-']) {
    for (const { pattern } of Object.values(libvirt.variables)) {
      await soon(() => pattern.test(`${piece.repeat(20_000)}!`), 1)
    }
  }
})
variables.run()

const stamps = suite('stamps')
stamps('are read back as they were made, and other text is none', () =>
  holds(
    200,
    fc.tuple(
      fc.date({ min: new Date(0), max: new Date(8.64e14), noInvalidDate: true }),
      anyText(12).filter(Boolean),
      fc.stringMatching(/^[0-9a-f]{12}(-dirty)?$/),
    ),
    ([at, branch, commit]) => {
      const second = new Date(Math.floor(at.getTime() / 1000) * 1000)
      if (second.getUTCFullYear() > 9999) return
      const text = stampText(branch, second, commit)
      const read = parseStamp(text)
      assert.is(read?.commit, commit)
      assert.is(read?.at.getTime(), second.getTime())
      assert.is(stampText(read!.branch, read!.at, read!.commit), text)
    },
  ),
)
stamps('of a time that does not exist are none', () =>
  holds(200, fc.stringMatching(/^main-20\d\d[01]\d[0-3]\dT[0-2]\d[0-6]\d[0-6]\dZ-abc$/), (text) => {
    const read = parseStamp(text)
    if (read) assert.is(stampText(read.branch, read.at, read.commit), text)
  }),
)
stamps('are made whatever SOURCE_DATE_EPOCH says', async () => {
  for (const SOURCE_DATE_EPOCH of ['-1', '1e300', '9007199254740991']) {
    await told(() => makeStamp({ SOURCE_DATE_EPOCH }))
  }
})
stamps.run()

const shown = suite('what is shown')
shown('is read back by a shell as the same words', () =>
  holds(200, fc.array(anyText(10), { minLength: 1, maxLength: 4 }), (words) => {
    // A shell's rules for what is quoted singly or by a backslash, and nothing else that it would expand.
    const read = shellCommand({ words }).match(/(?:'[^']*'|\\.|[^\s'\\])+/gs) ?? []
    assert.equal(
      read.map((word) => word.replaceAll(/'([^']*)'|\\(.)/gs, (_, quoted, one) => quoted ?? one)),
      words,
    )
    for (const word of words)
      if (!shellWord(word).startsWith("'")) assert.match(word, /^[\w@%+=:,./-]+$/)
  }),
)
shown('has no password, and is not long looked for', async () => {
  await holds(
    100,
    fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.stringMatching(/^[^\s/@'"]{1,8}$/), anyText(8)),
    ([scheme, secret, around]) => {
      const text = `${around} ${scheme}://me:${secret}@host/ ${around}`
      assert.ok(!redact(text).includes(`:${secret}@`))
    },
  )
  for (const piece of ['a', 'a:', 'a://', '://', 'http://a:'])
    await soon(() => redact(piece.repeat(100_000)))
})
shown('goes to a descriptor that can be one', async () => {
  for (const where of [
    '99999999999999999999',
    '4294967296',
    '2147483648',
    '77',
    '/nowhere/at/all',
  ]) {
    assert.ok(await told(() => openEvents(where)), where)
  }
})
shown.run()
