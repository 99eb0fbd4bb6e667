import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import {
  explainGuest,
  META_DATA,
  RUN,
  userData,
  VENDOR_DATA,
} from '../../lib/methods/cloud-seed.ts'

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
seed('makes no user of the vendor’s, who would stay in the image', () => {
  assert.is(VENDOR_DATA, '#cloud-config\nusers: []\n')
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

const explaining = suite('explainGuest()')
explaining('has cloud-init’s own words, each once', () => {
  const said = [
    'JOYENT_STATUS_BOOT=ok',
    'status: error',
    'error: cloud-init, schema: Error: packages: 7 is not of type array',
    'error: cloud-init, init: no such module',
    'error: cloud-init, init: no such module',
    'JOYENT_STATUS_CLOUD_INIT=fail',
  ]
  assert.equal(explainGuest(said.join('\n')), {
    what: 'cloud-init did not end well: schema: Error: packages: 7 is not of type array',
    hint: 'init: no such module',
  })
})
explaining('has a script’s, where cloud-init ended well', () => {
  const said = 'hybrid-images: a.sh begins\nno\nhybrid-images: a.sh exited with status 2\n'
  assert.is(explainGuest(said)?.what, 'a.sh exited with status 2: no')
  assert.is(explainGuest('JOYENT_STATUS_BOOT=ok\n'), undefined)
})
explaining.run()
