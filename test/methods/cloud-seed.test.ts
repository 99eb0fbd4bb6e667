import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { META_DATA, runScript, userData } from '../../lib/methods/cloud-seed.ts'

const seed = suite('seed of a cloud image')
seed('has our script, and the operator’s user-data as it is', () => {
  const own = '#cloud-config\npackages: [tmux]\nruncmd:\n  - echo own\n'
  const text = userData('ttyS0', own)
  const types = [...text.matchAll(/^Content-Type: (text\/[\w-]+)/gm)].map(([, type]) => type)
  assert.equal(types, ['text/x-shellscript', 'text/cloud-config'])
  assert.ok(text.includes(`\n\n${own}\n--=====`))
  assert.match(userData('ttyS0', '#!/bin/sh\ntrue\n'), /part-1/)
  assert.match(userData('ttyS0', '#include\nhttps://example.com/\n'), /Content-Type: text\/plain/)
})
seed('is no operator’s when there is none', () => {
  assert.not.match(userData('ttyS0', undefined), /part-1/)
  assert.match(META_DATA, /^instance-id: /)
})
seed('has scripts that a shell can read', () => {
  const [, starter] = /\n\n(#!\/bin\/sh[^]*?)\n--=====/.exec(userData('ttyS0', undefined))!
  for (const script of [starter!, runScript('ttyS0')]) execFileSync('sh', ['-n'], { input: script })
})
seed('writes to the console of its machine, and to no other', () => {
  for (const text of [userData('ttyAMA0', undefined), runScript('ttyAMA0')]) {
    assert.match(text, /serial-getty@ttyAMA0\.service/)
    assert.not.match(text, /ttyS0/)
  }
})
seed.run()
