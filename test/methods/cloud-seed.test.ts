import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { META_DATA, RUN, userData } from '../../lib/methods/cloud-seed.ts'

const seed = suite('seed of a cloud image')
seed('has our script, and the operator’s user-data as it is', () => {
  const own = '#cloud-config\npackages: [tmux]\nruncmd:\n  - echo own\n'
  const text = userData(own)
  const types = [...text.matchAll(/^Content-Type: (text\/[\w-]+)/gm)].map(([, type]) => type)
  assert.equal(types, ['text/x-shellscript', 'text/cloud-config'])
  assert.ok(text.includes(`\n\n${own}\n--=====`))
  assert.match(userData('#!/bin/sh\ntrue\n'), /part-1/)
  assert.match(userData('#include\nhttps://example.com/\n'), /Content-Type: text\/plain/)
})
seed('is no operator’s when there is none', () => {
  assert.not.match(userData(undefined), /part-1/)
  assert.match(META_DATA, /^instance-id: /)
})
seed('has scripts that a shell can read', () => {
  const [, starter] = /\n\n(#!\/bin\/sh[^]*?)\n--=====/.exec(userData(undefined))!
  for (const script of [starter!, RUN]) execFileSync('sh', ['-n'], { input: script })
})
seed.run()
