import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import { checkUserData, mimePart } from '../../lib/methods/user-data.ts'
import { refusal } from '../refusal.ts'

const checking = suite('checkUserData()')
for (const text of [
  '#cloud-config\npackages: [tmux]\n',
  '#cloud-config\r\nusers: []\r\n',
  '#cloud-config\n',
  '#!/bin/sh\ntrue\n',
  '#include\nhttps://example.com/\n',
  '#cloud-boothook\n#!/bin/sh\n',
  '## template: jinja\n#cloud-config\nhostname: {{ v1.instance_id }}\n',
  'Content-Type: multipart/mixed; boundary="x"\nMIME-Version: 1.0\n\n--x\n',
]) {
  checking(`takes ${JSON.stringify(text.slice(0, 40))}`, () => checkUserData(text, 'own'))
}
for (const [text, expected] of [
  ['', /^Cannot use --user-data "own": it is empty$/],
  ['packages: [tmux]\n', /knows nothing that begins with line 1, "packages: \[tmux\]"$/],
  ['#cloud-configuration\n', /knows nothing that begins with line 1/],
  ['\n#cloud-config\n', /knows nothing that begins with line 1, ""$/],
  ['#cloud-config\na: 1\nb: [1\nc: 2\n', /"own": line 4 is no YAML: /],
  ['#cloud-config\na: 1\na: 2\n', /"own": line 3 is no YAML: Map keys must be unique$/],
  ['#cloud-config\n- a\n', /it is no mapping of keys to values$/],
] as const) {
  checking(`refuses ${JSON.stringify(text)}`, async () => {
    const work = checkUserData(text, 'own')
    assert.match(await refusal(work), expected)
    assert.instance(await work.catch((error: unknown) => error), UsageError)
  })
}
checking.run()

const part = suite('mimePart()')
part('leaves a message of parts as it is', () => {
  const own = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x--\n'
  assert.is(mimePart(own, 'part-1'), own)
})
part('says what a part is by its first line', () => {
  for (const [text, type] of [
    ['#!/bin/sh\n', 'text/x-shellscript'],
    ['#cloud-config\n', 'text/cloud-config'],
    ['#include\n', 'text/plain'],
  ] as const) {
    assert.ok(mimePart(text, 'p').startsWith(`Content-Type: ${type};`))
  }
})
part.run()
