/** Answers, user-data and base images as an operator, a generator or a vendor could have written them. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import { fillAnswers } from '../../lib/methods/answers.ts'
import { autoinstallProblems } from '../../lib/methods/autoinstall.ts'
import { userData } from '../../lib/methods/cloud-seed.ts'
import { guestAddress } from '../../lib/methods/guest-address.ts'
import { kickstartWords, readKickstart } from '../../lib/methods/kickstart.ts'
import { scriptLabel } from '../../lib/methods/script-failure.ts'
import { cutToTar, makeTarDisk } from '../../lib/methods/tar-disk.ts'
import { checkUserData } from '../../lib/methods/user-data.ts'
import { anyText, changedJson, fc, holds, isLine, linesOf, soon, told } from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'

const PROTOTYPE = ['constructor', 'toString', '__proto__', 'hasOwnProperty']

const kickstarts = suite('readKickstart(), whatever is in the file')
kickstarts('has problems that are said, and knows no command that is none', () =>
  holds(
    250,
    linesOf(
      [
        '%packages',
        '%post',
        '%end',
        '%',
        'lang ',
        'part ',
        '--size=',
        '--grow',
        ' ',
        '"',
        "'",
        'en_US',
        '#',
        ...PROTOTYPE,
      ],
      10,
    ),
    (text) => {
      const { commands, problems } = readKickstart(text)
      assert.ok(problems.length > 0) // not one of these has all that is needed
      for (const { what, line } of problems) assert.ok(what !== '' && line >= 0)
      for (const { line, words } of commands) {
        if (!PROTOTYPE.includes(words[0]!)) continue
        assert.ok(problems.some((one) => one.line === line && one.what.includes('unknown command')))
      }
    },
  ),
)
kickstarts('takes words apart as a shell does', () =>
  holds(
    150,
    fc.array(
      anyText(8)
        .map((text) => text.replaceAll(/[\s"']/g, '_'))
        .filter(Boolean),
      { maxLength: 5 },
    ),
    (words) => {
      assert.equal(
        kickstartWords(
          words.map((word, i) => ['"', "'", ''][i % 3] + word + ['"', "'", ''][i % 3]).join('  '),
        ),
        words,
      )
    },
  ),
)
kickstarts('is read in time that grows with it', async () => {
  for (const piece of ['"', "'", '"\'', 'a', ' ', '%', '--a=', 'a"b', '\n']) {
    await soon(() => readKickstart(piece.repeat(Math.ceil(300_000 / piece.length))))
  }
})
kickstarts.run()

const small = {
  autoinstall: {
    version: 1,
    locale: 'C',
    keyboard: { layout: 'us' },
    storage: {
      config: [
        { type: 'disk', id: 'd', ptable: 'gpt' },
        { type: 'mount', id: 'm', path: '/', device: 'd' },
      ],
    },
    'late-commands': ['true'],
  },
}
const autoinstalls = suite('autoinstallProblems(), whatever is in the file')
autoinstalls('has problems that are said', async () => {
  const property = (text: string) => {
    for (const one of autoinstallProblems(text)) assert.ok(typeof one === 'string' && one !== '')
  }
  await holds(200, changedJson(small), (value) => property(`#cloud-config\n${stringify(value)}`))
  await holds(
    150,
    linesOf(
      [
        'autoinstall:',
        '\n  ',
        'storage: ',
        'config: ',
        '- ',
        '{type: ',
        'constructor',
        ', x: 1}',
        '&a ',
        '*a',
        '[',
        ']',
        'null',
        '!!set ',
        '? ',
      ],
      8,
    ),
    (text) => property(`#cloud-config\n${text}`),
  )
})
autoinstalls('has some where values contain themselves, or know what any object has', () => {
  for (const text of [
    'autoinstall:\n  locale: &a [*a]',
    'autoinstall:\n  storage: {config: [{type: constructor, id: x, size: 1}]}',
    'autoinstall:\n  storage: {config: [null, 1, [], {}]}',
    'autoinstall:\n  constructor: [a]',
    'autoinstall:\n  storage:',
    'autoinstall: [1]',
    'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]',
    'abc',
    '- a',
  ]) {
    assert.ok(autoinstallProblems(`#cloud-config\n${text}`).length > 0, text)
  }
  const strange = autoinstallProblems('#cloud-config\nautoinstall:\n  constructor: [a]')
  assert.ok(strange.includes('unknown key constructor'))
})
autoinstalls.run()

const HEADS = [
  '#cloud-config\n',
  '#!/bin/sh\n',
  '#include\n',
  '## template: jinja\n',
  'Content-Type: multipart/mixed\n',
  'x\n',
  '',
]
const seeds = suite('user-data, whatever is in it')
seeds('is taken, or refused with what is wrong', () =>
  holds(
    250,
    fc.tuple(
      fc.constantFrom(...HEADS),
      linesOf(
        [
          'packages: ',
          '[',
          ']',
          '&a ',
          '*a',
          '*b',
          '{',
          '}',
          '- ',
          ': ',
          '"',
          '|',
          '\t',
          'tmux',
          '<<: ',
          '!x ',
        ],
        6,
      ),
    ),
    async ([head, text]) => {
      const error = await told(() => checkUserData(head + text, 'x.yaml'))
      if (error) assert.ok(isLine(error.message), error.message)
      const message = userData(head + text)
      assert.match(message, /^Content-Type: multipart\/mixed; boundary=/)
      assert.ok(message.includes(text))
    },
  ),
)
seeds('may nest, and lead to themselves', async () => {
  const laughs = Array.from(
    { length: 20 },
    (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`,
  )
  for (const text of [
    'a: *b',
    `a0: &a0 x\n${laughs.join('\n')}`,
    '['.repeat(20_000),
    `a: ${'{a: '.repeat(20_000)}`,
    'a: &a {b: *a}',
  ]) {
    await soon(() => told(() => checkUserData(`#cloud-config\n${text}`, 'x.yaml')))
  }
  assert.match((await told(() => checkUserData('#cloud-config\na: *b', 'x')))!.message, /no YAML/)
  for (const deep of [
    '['.repeat(400),
    '{a: '.repeat(400),
    '- '.repeat(400),
    `${' '.repeat(700)}a`,
  ]) {
    const { message } = (await told(() => checkUserData(`#cloud-config\n${deep}`, 'x')))!
    assert.match(message, /nested too deep/)
  }
})
seeds.run()

const others = suite('what else a build is told')
others('fills templates in as they are, and nothing twice', () =>
  holds(150, fc.tuple(anyText(10), fc.array(anyText(6), { maxLength: 3 })), ([value, list]) => {
    const line = (text: string) => text.replaceAll(/[\r\n]/g, ' ')
    const values = { ONE: line(value), LIST: list.map(line) }
    const filled = fillAnswers('a @ONE@ b\n@LIST@\n@?ONE@ yes\n@!ONE@ no\n# @ONE@', values, 'x')
    const wanted = [
      `a ${values.ONE} b`,
      ...values.LIST,
      values.ONE === '' ? 'no' : 'yes',
      '# @ONE@',
    ]
    assert.is(filled, wanted.join('\n'))
  }),
)
others('leads to this machine by its gateway, and elsewhere as it was', () =>
  holds(100, fc.webUrl({ withQueryParameters: true }), (url) => {
    assert.is(guestAddress(url, '10.0.0.2'), url)
    const own = url.replace(/^(https?:\/\/)[^/:?#]+/, '$1127.0.0.1')
    assert.match(guestAddress(own, '10.0.0.2'), /^https?:\/\/10\.0\.0\.2/)
    assert.match(scriptLabel(url), /^[\w.-]*$/)
  }),
)
others('takes a tar that a guest has written, or none', () =>
  inTemporaryDir((dir) =>
    holds(
      60,
      fc.oneof(
        fc.stringMatching(/^hybrid-images root tar bytes=\d{1,20}\n$/),
        linesOf(['hybrid-images root tar', ' bytes=', '1', '99999', '\0', '-', 'e9'], 3),
      ),
      async (text) => {
        const path = join(dir, 'tar')
        await rm(path, { force: true })
        await makeTarDisk(path, 8192)
        const disk = await readFile(path)
        disk.fill(0, 8192 - 512)
        disk.write(text.slice(0, 512), 8192 - 512, 'latin1')
        await writeFile(path, disk)
        const error = await told(() => cutToTar(path))
        const { size } = await stat(path)
        if (error) assert.is(size, 8192)
        else assert.ok(size > 0 && size <= 8192 - 512)
      },
    ),
  ),
)
others.run()
