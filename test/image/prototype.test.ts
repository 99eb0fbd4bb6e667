import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fillPrototype } from '../../lib/image/prototype.ts'

const values = {
  NAME: 'my-image',
  DATE: '20260508',
  DESC: 'A "quoted" \\ description, 100 % mine & $& yours',
  HOMEPAGE: 'https://example.com/images',
  ZVOL_SIZE: 10240,
  GZIP_SIZE: 123456,
  TIME_NOW: '2026-05-08T12:00:00Z',
  IMAGE_UUID: 'abababab-abab-8bab-abab-abababababab',
  IMAGE_SHA: 'cd'.repeat(20),
}
/** As the classic images' prototypes are. */
const prototype = `{
  "v": 2, "uuid": "@IMAGE_UUID@", "owner": "00000000-0000-0000-0000-000000000000",
  "name": "@NAME@", "version": "@DATE@", "state": "active", "disabled": false, "public": true,
  "published_at": "@TIME_NOW@", "type": "zvol", "os": "linux",
  "files": [{ "sha1": "@IMAGE_SHA@", "size": @GZIP_SIZE@, "compression": "gzip" }],
  "description": "@DESC@", "homepage": "@HOMEPAGE@",
  "requirements": { "networks": [{ "name": "net0", "description": "public" }], "ssh_key": true },
  "nic_driver": "virtio", "disk_driver": "virtio", "cpu_type": "host", "image_size": "@ZVOL_SIZE@"
}`
const fill = (text: string) => fillPrototype(text, values, 'p.json') as Record<string, unknown>

const filling = suite('fillPrototype()')
filling('fills every token, @HOMEPAGE@ included, whatever the text holds', () => {
  const manifest = fill(prototype)
  assert.is(manifest['name'], 'my-image')
  assert.is(manifest['description'], values.DESC)
  assert.is(manifest['homepage'], values.HOMEPAGE)
  assert.equal(manifest['files'], [{ sha1: values.IMAGE_SHA, size: 123456, compression: 'gzip' }])
  assert.not.match(JSON.stringify(manifest), /@[A-Z_]+@/)
})
filling('makes numbers of sizes between quotes', () => {
  assert.is(fill(prototype)['image_size'], 10240)
  const quoted = prototype.replace('@GZIP_SIZE@', '"@GZIP_SIZE@"')
  assert.is((fill(quoted)['files'] as { size: number }[])[0]!.size, 123456)
})
filling('leaves addresses with an @ alone', () => {
  const text = prototype.replace('"@DESC@"', '"ask me@example.com or @me@"')
  assert.is(fill(text)['description'], 'ask me@example.com or @me@')
})
for (const [what, text, wrong] of [
  ['a token that means nothing', prototype.replace('@DESC@', '@DESCR@'), /it has @DESCR@$/],
  ['what is no JSON', prototype.replace('"v": 2,', '"v": 2'), /^Cannot use prototype "p\.json": /],
  ['a list', '[]', /no JSON object/],
  ['a manifest for another kind of image', prototype.replace('"zvol"', '"zone-dataset"'), /type: /],
  ['one without a file', prototype.replace(/"files": \[.*\],/, ''), /files: /],
  ['one that imgadm refuses', prototype.replace('"name": "@NAME@",', ''), /name: /],
] as const) {
  filling(`refuses ${what}`, () => assert.throws(() => fill(text), wrong))
}
filling.run()
